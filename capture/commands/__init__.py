"""One command of ``flex-capture`` a file.

In: what the operator typed.
Out: an exit code: 0 in order; 1 done but something found or marked; 2 wrong input, nothing touched; 3 something failed.
May touch: what the command says. Everything heavy is imported inside the functions, so that --help answers at once.
"""
