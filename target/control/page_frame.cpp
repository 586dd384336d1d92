#include "target/control/page_frame.h"

namespace target::control {

const char* const page_style = R"css(
:root{color-scheme:light dark;--ground:#faf9f6;--panel:#fff;--ink:#1d1d1b;--soft:#63625d;--rule:#e4e2db;
--read:#1f6aa8;--write:#b0561a;--dirty:#7a5aa6;--ok:#256b45;--warn:#8a5a00;--bad:#a8231b;--empty:#edebe5;--bad-ground:#fbeeec;--warn-ground:#fbf4e4}
@media(prefers-color-scheme:dark){:root{--ground:#131416;--panel:#1a1c1f;--ink:#e6e4df;--soft:#9b9a94;--rule:#2c2e32;
--read:#6db3f2;--write:#e89b5a;--dirty:#b79ae0;--ok:#6cc495;--warn:#e0b354;--bad:#f0867e;--empty:#2a2c30;--bad-ground:#2b1b1a;--warn-ground:#292416}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:1280px;margin:0 auto;padding:20px 24px 40px}
header{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:baseline}
h1{font-size:22px;line-height:1.2;font-weight:650;margin:0;overflow-wrap:anywhere}
h2{font-size:12px;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:28px 0 6px}
h2 small{font-size:12px;font-weight:400;letter-spacing:0;text-transform:none;margin-left:8px}
.state{font-weight:650;letter-spacing:.02em}
.facts{color:var(--soft);margin-left:auto;overflow-wrap:anywhere}
.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}.soft{color:var(--soft)}
#stale{position:sticky;top:0;margin:0;padding:8px 24px;background:var(--bad);color:var(--ground);font-weight:600;z-index:1}
.troubles{list-style:none;margin:14px 0 0;padding:0;border:1px solid var(--rule);border-radius:6px;overflow:hidden}
.troubles li{padding:7px 12px;border-left:4px solid var(--bad);background:var(--bad-ground);overflow-wrap:anywhere}
.troubles li+li{border-top:1px solid var(--rule)}
.troubles li.w{border-left-color:var(--warn);background:var(--warn-ground)}
.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin-top:16px}
.card{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:10px 12px 8px;min-width:0}
.card b{font-size:19px;font-weight:600;white-space:nowrap}
.card .name{color:var(--soft);display:flex;justify-content:space-between;gap:8px}
.card .chart{height:64px;margin-top:4px}
.legend i{font-style:normal;white-space:nowrap;margin-right:10px}
.legend i:before{content:"";display:inline-block;width:10px;height:2px;margin-right:4px;vertical-align:middle;background:currentColor}
.r{color:var(--read)}.w-c{color:var(--write)}.d{color:var(--dirty)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th{font-size:12px;font-weight:500;color:var(--soft);text-align:left;white-space:nowrap;padding:3px 14px 3px 0;border-bottom:1px solid var(--rule)}
td{padding:5px 14px 5px 0;border-bottom:1px solid var(--rule);vertical-align:middle;white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
td.n,th.n{text-align:right}
td.name{font-weight:600;white-space:normal;overflow-wrap:anywhere;min-width:96px;max-width:360px}
td.long{white-space:normal;overflow-wrap:anywhere;max-width:420px}
td.pic{width:150px;min-width:110px}
.chart{display:block;width:100%;height:26px;border-bottom:1px solid var(--rule)}
.chart path{fill:none;stroke-width:1.4;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}
.chart .read{stroke:var(--read)}.chart .write{stroke:var(--write)}.chart .dirty{stroke:var(--dirty)}
.bar{display:block;width:100%;height:8px;background:var(--empty);border-radius:2px}
.bar .dirty{fill:var(--dirty)}.bar .used{fill:var(--read)}.bar .promised{fill:var(--write)}
a{color:inherit;text-underline-offset:2px}
p{margin:8px 0 0}
footer{margin-top:28px;color:var(--soft)}
@media(max-width:900px){.cards{grid-template-columns:repeat(2,1fr)}.opt{display:none}}
@media(max-width:560px){main{padding:14px 14px 32px}.facts{margin-left:0;width:100%}.opt2{display:none}h1{font-size:19px}
.card{padding:8px 9px 6px}.card b{font-size:16px}.card .chart{height:48px}body{font-size:13px}td.pic{min-width:64px;width:80px}td,th{padding-right:8px}td.name{min-width:84px;max-width:150px}}
)css";

// Takes the part that changes over, unless somebody is marking text in it; and says when there is
// none.
const char* const page_script = R"js(
(() => {
  const main = document.querySelector("main"), stale = document.getElementById("stale");
  let last = Date.now();
  const look = async () => {
    try {
      if (!document.hidden && getSelection().isCollapsed) {
        const answer = await fetch("/page" + location.search, {cache: "no-store"});
        if (!answer.ok) throw new Error(answer.status);
        main.innerHTML = await answer.text();
        document.title = main.querySelector("header").dataset.title;
        last = Date.now();
        stale.hidden = true;
      }
    } catch (error) {
      stale.textContent = "The daemon has not answered for " + Math.round((Date.now() - last) / 1000) + " s: all below is older.";
      stale.hidden = false;
    }
    setTimeout(look, 3000);
  };
  setTimeout(look, 3000);
})();
)js";

}  // namespace target::control
