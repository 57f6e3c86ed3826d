"""The style sheet of a page: light, dark and on paper; told apart by form as well as by colour."""

from __future__ import annotations

from typing import Final

#: Colours after Okabe & Ito (2008, Color Universal Design), which colour-blind readers tell apart.
STYLE: Final = """
:root { color-scheme: light dark; --page: #fff; --text: #1b1d20; --quiet: #5b6068; --rule: #d5d8dd; --grid: #e4e6ea;
  --first: #dfe6ee; --second: #eef2f6; --turn: #1b1d20; --band: #9aa2ad; --c1: #0072b2; --c2: #d55e00; --c3: #007a59;
  --c4: #8a4f7d; --warn: #b3261e; --warnpage: #fdeeed; --notice: #fff4d6; --noticetext: #5c4300; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --text: #e7e9ec; --quiet: #a2a8b1; --rule: #3b4048;
  --grid: #2a2e34; --first: #2c3644; --second: #222932; --turn: #e7e9ec; --band: #69717d; --c1: #56b4e9;
  --c2: #f08a3c;
  --c3: #2fc79a; --c4: #d796c6; --warn: #ff8a80; --warnpage: #3a2022; --notice: #3d3312; --noticetext: #ffe29a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 20px 24px 40px; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif; }
h1 { font-size: 24px; line-height: 1.2; margin: 0 0 4px; } h2 { font-size: 17px; margin: 30px 0 8px; }
h3 { font-size: 14px; margin: 18px 0 6px; } p { margin: 4px 0; } .quiet, .note { color: var(--quiet); }
.note { max-width: 95ch; font-size: 13px; } .verdict { font-size: 17px; font-weight: 600; margin: 10px 0 6px; }
.badge { display: inline-block; padding: 3px 10px; margin: 6px 0; background: var(--notice); color: var(--noticetext);
  border: 1px dashed var(--noticetext); font-weight: 600; }
ul.marks { margin: 6px 0; padding: 6px 12px 6px 28px; background: var(--warnpage);
  border-left: 4px solid var(--warn); }
ul.remarks { margin: 6px 0; padding: 6px 12px 6px 28px; border-left: 4px double var(--quiet); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 4px 20px;
  margin: 12px 0; }
dl.facts div { display: flex; gap: 8px; min-width: 0; } dt { color: var(--quiet); flex: 0 0 auto; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: 13px; }
th, td { padding: 3px 9px; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: middle;
  white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; } .left, th.left, td.left { text-align: left; }
td.soft { white-space: normal; }
td.wrap { white-space: normal; min-width: 22ch; } th .unit, .unit { color: var(--quiet); font-weight: 400; }
.bad { color: var(--warn); font-weight: 600; }
svg { display: block; max-width: 100%; overflow: hidden; }
svg.timeline { width: 100%; min-width: 900px; height: auto; }
svg text { font: 11px system-ui, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif; fill: var(--text); }
svg path, svg line { fill: none; vector-effect: non-scaling-stroke; }
svg .panel { font-weight: 600; font-size: 12px; } svg .unit { font-weight: 400; font-size: 11px; fill: var(--quiet); }
svg .number, svg .channel { text-anchor: end; } svg .number { fill: var(--quiet); font-size: 10.5px; }
svg .start { text-anchor: start; } svg .loud { fill: var(--warn); font-weight: 700; }
svg .name { font-size: 10.5px; } svg .tick { text-anchor: middle; fill: var(--quiet); }
svg .repetition { text-anchor: middle; font-weight: 700; } svg .phase { font-weight: 700; }
svg .grid { stroke: var(--grid); stroke-width: 1; } svg .base { stroke: var(--grid); stroke-width: 1; }
svg .shade.first { fill: var(--first); } svg .shade.second { fill: var(--second); }
svg .turn { stroke: var(--turn); stroke-width: 1; stroke-dasharray: 2 4; opacity: .75; }
svg .band { stroke: var(--band); stroke-width: 1; } svg .over { stroke: var(--c1); stroke-width: 1.4; }
svg .c1, svg .c2, svg .c3, svg .c4 { stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
svg .c1 { stroke: var(--c1); } svg .c2 { stroke: var(--c2); } svg .c3 { stroke: var(--c3); }
svg .c4 { stroke: var(--c4); }
svg .left { stroke-dasharray: 5 3; } svg .thin { stroke-width: 1; }
svg .gap { fill: var(--warn); opacity: .45; } svg .beyond { fill: var(--warn); } svg .frames { fill: var(--band); }
svg line.event { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 1 3; }
svg text.event { text-anchor: middle; fill: var(--quiet); font-weight: 600; }
svg line.fault { stroke: var(--warn); stroke-dasharray: 6 2; } svg text.fault { fill: var(--warn); font-weight: 700; }
svg .bone { stroke: var(--text); stroke-width: 2; stroke-linecap: round; } svg .bone.left { stroke: var(--quiet);
  stroke-dasharray: 3 3; stroke-width: 1.6; } svg .head { fill: none; stroke: var(--text); stroke-width: 1.6; }
svg .bar1 { fill: var(--c1); } svg .bar2 { fill: var(--page); stroke: var(--c1); stroke-width: 1.4; }
svg .dot { fill: var(--c1); opacity: .7; } svg .dot.odd { fill: var(--warn); opacity: 1; }
.sheet { display: grid; gap: 6px 8px; align-items: center; justify-content: start; overflow-x: auto; }
.sheet .head { font-weight: 600; } .sheet .moment { color: var(--quiet); text-align: right; }
.sheet .moment.left { text-align: left; font-size: 12px; }
.sheet .ruled { grid-column: 1 / -1; border-top: 1px solid var(--rule); padding-top: 6px; font-weight: 600; }
.sheet img, .large img { display: block; max-width: 100%; height: auto; background: var(--grid); }
.nothing { color: var(--quiet); font-size: 12px; border: 1px dashed var(--rule); padding: 4px 6px;
  display: inline-block;
  max-width: 22ch; } .large { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; }
figure { margin: 0; } figcaption { color: var(--quiet); font-size: 12px; } figure svg.figure { margin: 0 auto; }
td.cell { text-align: center; } td.cell.none { color: var(--quiet); }
code { font-size: 12.5px; overflow-wrap: anywhere; }
footer { margin-top: 36px; border-top: 1px solid var(--rule); padding-top: 8px; color: var(--quiet);
  font-size: 12.5px; }
@page { margin: 10mm; }
@media print { :root { color-scheme: light; --page: #fff; --text: #000; --quiet: #444; --rule: #bbb; --grid: #ddd;
  --first: #dfe6ee; --second: #eef2f6; --turn: #000; --band: #9aa2ad; --c1: #0072b2; --c2: #d55e00; --c3: #007a59;
  --c4: #8a4f7d; --warn: #b3261e; --warnpage: #fff; --notice: #fff; --noticetext: #000; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10.5px; } h1 { font-size: 18px; }
  h2 { font-size: 14px; margin-top: 16px; }
  section, tr, figure, svg { break-inside: avoid; } section.long { break-inside: auto; } h2 { break-after: avoid; }
  .scroll, .sheet { overflow: visible; } svg.timeline { min-width: 0; max-height: 250mm; } .sheet { zoom: .6; }
  table { font-size: 8.5px; } th, td { padding: 1px 4px; white-space: normal; } td svg { width: 130px; } }
""".strip()
