//! The colours of charts and pages, light and dark: one place for both.

/// Custom properties of the page and of each chart that stands alone. A chart's line `n` has the colour `--c{n}`.
pub(super) const COLOURS: &str = "\
:root{--paper:#fff;--ink:#1d2330;--soft:#5b6475;--grid:#dfe3ea;--panel:#f6f7f9;--good:#0b7a4b;--ours:#1f5fd0;\
--c0:#1f5fd0;--c1:#0b8a5a;--c2:#c2410c;--c3:#8b2fc9;--c4:#b8860b;--c5:#0e7490;--c6:#be185d;\
--r0:#7c8597;--r1:#a35c3a;--r2:#5d7a2e;--r3:#6b5ca5;--r4:#9a4a6b;--r5:#3f7f86;--r6:#8a7a2a;--r7:#4d5b78;--r8:#b0565a}\
@media(prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e7ebf2;--soft:#9aa5b8;--grid:#2c3442;--panel:#1a2029;--good:#4ade9c;--ours:#7aa7ff;\
--c0:#7aa7ff;--c1:#4ade9c;--c2:#ff9b6a;--c3:#cf9bff;--c4:#f2cc5c;--c5:#5cd3ea;--c6:#ff8fc0;\
--r0:#a3adbf;--r1:#d09a7c;--r2:#a9c777;--r3:#b0a3e6;--r4:#d592b3;--r5:#84c2c8;--r6:#cdbd6c;--r7:#93a4c6;--r8:#e39a9d}}";

/// What the classes inside a chart look like.
pub(super) const CHART: &str = "\
svg.chart{font:13px/1.2 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;background:var(--paper)}\
svg.chart text{fill:var(--ink)}svg.chart .soft{fill:var(--soft);font-size:12px}svg.chart .grid{stroke:var(--grid);stroke-width:1}\
svg.chart .head{font-size:15px;font-weight:600}svg.chart .line{fill:none;stroke-width:2.6;stroke-linejoin:round}\
svg.chart .rival{stroke-width:1.7;stroke-dasharray:5 3}svg.chart .lead{stroke:var(--grid);stroke-width:1}";

/// The page around the charts.
pub(super) const PAGE: &str = "\
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{max-width:1120px;margin:0 auto;padding:24px 20px 64px}h1{font-size:28px;line-height:1.2;margin:8px 0 4px}\
h2{font-size:21px;line-height:1.25;margin:52px 0 4px;padding-top:18px;border-top:1px solid var(--grid)}\
p{margin:8px 0;max-width:78ch}.soft{color:var(--soft)}.small{font-size:13.5px}a{color:var(--ours)}\
.verdict{background:var(--panel);border-left:4px solid var(--good);padding:10px 16px;margin:14px 0;border-radius:0 6px 6px 0}\
.verdict p{margin:4px 0}.verdict p:first-child{font-weight:600}\
.scroll{overflow-x:auto;margin:14px 0}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;white-space:nowrap}\
th,td{padding:5px 7px;text-align:right;border-bottom:1px solid var(--grid)}th{color:var(--soft);font-weight:600;vertical-align:bottom;white-space:normal}\
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}tr.ours td:first-child{color:var(--ours);font-weight:600}\
tr.leads td{background:var(--panel)}tr.leads td:first-child::after{content:' \\2605';color:var(--good)}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:18px}\
.charts svg{width:100%;height:auto;border:1px solid var(--grid);border-radius:8px}\
nav ul{columns:2;padding-left:18px;margin:8px 0}dt{font-weight:600}dd{margin:0 0 8px}";
