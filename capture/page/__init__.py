"""A take or a dataset as one HTML page that needs nothing but a browser.

In: a raw take, processed in memory, or a dataset's own files.
Out: the bytes of a page; no script, no network, no font from elsewhere.
May touch: nothing; who calls it writes the page. Content (a take -> values to show), drawing (values -> SVG) and the
page (sections -> HTML) are kept apart: the drawing knows no take, the content no HTML.
"""
