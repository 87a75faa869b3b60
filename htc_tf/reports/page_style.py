"""The frame and the style sheet of a page: light colors, system fonts, wide and narrow screens."""

# A browser that follows this policy loads nothing from elsewhere and runs no script.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# It says who wrote a page, so that only such pages are replaced.
GENERATOR = '<meta name="generator" content="htc_tf">'

_STYLE = """
:root { --text: #1d2733; --quiet: #5b6775; --line: #d9dfe6; --soft: #f4f6f9; --accent: #1668b8;
  --warn: #8a4b00; --warn-soft: #fff6e5; --warn-line: #f0c36d; }
* { box-sizing: border-box; }
html { color-scheme: light; scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 64px; background: #fff;
  color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Liberation Sans", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 4px; font-size: 30px; line-height: 1.2; }
h2 { margin: 44px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--line);
  font-size: 22px; line-height: 1.25; }
h3 { margin: 26px 0 8px; font-size: 17px; line-height: 1.3; }
p { margin: 8px 0 12px; max-width: 80ch; }
ul { margin: 8px 0 12px; padding-left: 22px; }
li { margin: 3px 0; max-width: 80ch; }
.summary { color: var(--quiet); font-size: 17px; }
nav ul { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 18px 0 0; padding: 0;
  list-style: none; }
nav li { margin: 0; }
a { color: var(--accent); text-underline-offset: 2px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px;
  margin: 14px 0; }
.facts div { padding: 10px 14px; border-radius: 8px; background: var(--soft); }
.facts dt { color: var(--quiet); font-size: 14px; }
.facts dd { margin: 0; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.warnings { margin: 12px 0; padding: 10px 16px 10px 36px; border: 1px solid var(--warn-line);
  border-radius: 8px; background: var(--warn-soft); color: var(--warn); }
.table { margin: 12px 0 18px; max-width: 100%; overflow-x: auto; }
table { border-collapse: collapse; font-size: 15px; overflow-wrap: normal; }
caption { padding: 0 0 6px; color: var(--quiet); text-align: left; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: middle; }
th { color: var(--quiet); font-size: 14px; font-weight: 600; vertical-align: bottom; }
td { max-width: 44ch; overflow-wrap: break-word; }
td:not([class]):last-child { min-width: 22ch; }
td:first-child { min-width: 11ch; max-width: 30ch; }
th.number, td.number { padding-left: 14px; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th.number { white-space: normal; }
td.bar { min-width: 190px; }
td.bar span { display: block; height: 12px; border-radius: 0 3px 3px 0;
  background: var(--accent); }
figure { margin: 14px 0 22px; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
figcaption { margin-top: 6px; max-width: 100ch; color: var(--quiet); font-size: 14px;
  line-height: 1.4; }
.wide { max-width: 100%; overflow-x: auto; }
.wide img { max-width: none; }
.gallery { display: grid; margin: 14px 0 22px; gap: 18px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--narrowest)), 1fr)); }
.gallery figure { margin: 0; }
.gallery img { width: 100%; }
details { margin: 10px 0; padding: 8px 14px; border: 1px solid var(--line); border-radius: 8px; }
summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 48px; color: var(--quiet); font-size: 14px; }
@media (max-width: 600px) {
  body { padding: 18px 14px 48px; font-size: 15px; }
  h1 { font-size: 25px; }
  .facts { grid-template-columns: repeat(2, 1fr); }
  td, td:first-child { max-width: 20ch; }
  td.bar { min-width: 90px; }
  caption { max-width: calc(100vw - 28px); }
}
@media print { nav { display: none; } .table { overflow: visible; }
  figure { break-inside: avoid; } }
"""


def framed(title: str, body: str) -> str:
  """A complete HTML document.

  Args:
    title: escaped text of its title.
    body: markup of its body.
  """
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    f'{GENERATOR}\n'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n'
  )
