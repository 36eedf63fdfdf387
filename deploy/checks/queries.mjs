// Parses every query of rules, dashboard and documents (PromQL, LogQL), and holds the dashboard's shape.
//
// usage: node queries.mjs MODULES     (MODULES: the node_modules with js-yaml and the parsers of Prometheus and Grafana)
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(path.resolve(process.argv[2], "any.js"));
const yaml = require("js-yaml");
const { parser: promql } = require("@prometheus-io/lezer-promql");
const { parser: logql } = require("@grafana/lezer-logql");
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const read = (file) => fs.readFileSync(path.join(root, file), "utf8");

const mistakes = [];
const count = { PromQL: 0, LogQL: 0 };

// Grafana puts these in before a query is sent.
function filled(query) {
  const values = { $__rate_interval: "5m", $__range: "1h", $__interval: "1m", $logs: 'container="x"' };
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(name, value), query);
}

function check(language, parser, place, query) {
  count[language] += 1;
  const text = filled(query);
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError) mistakes.push(`${place}: ${language}, at character ${node.from}: ${query}`);
    },
  });
}

for (const { rules } of yaml.load(read("deploy/monitoring/rules.yaml")).groups) {
  for (const rule of rules) check("PromQL", promql, rule.record ?? rule.alert, rule.expr);
}

const dashboard = JSON.parse(read("deploy/monitoring/dashboard.json"));
const ids = new Set();
const taken = new Map();
for (const panel of dashboard.panels) {
  const wrong = (text) => mistakes.push(`dashboard, panel "${panel.title}": ${text}`);
  if (ids.has(panel.id)) wrong("its id stands twice");
  ids.add(panel.id);
  const { x, y, w, h } = panel.gridPos;
  if (x < 0 || x + w > 24) wrong("is wider than the board");
  for (let cell = 0; cell < w * h; cell += 1) {
    const key = `${x + (cell % w)},${y + Math.floor(cell / w)}`;
    if (taken.has(key)) wrong(`covers "${taken.get(key)}"`);
    taken.set(key, panel.title);
  }
  if (panel.type === "row") continue;
  if (!panel.title || !panel.description || !panel.fieldConfig.defaults.unit) wrong("needs a title, a description and a unit");
  for (const target of panel.targets) {
    if (!["$datasource", "$loki"].includes(target.datasource.uid)) wrong("names a datasource of somebody's own");
    const isLog = target.datasource.type === "loki";
    check(isLog ? "LogQL" : "PromQL", isLog ? logql : promql, panel.title, target.expr);
  }
}

for (const file of fs.readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md"))) {
  for (const [, language, block] of read(`docs/${file}`).matchAll(/^```(promql|logql)\n([\s\S]*?)^```/gm)) {
    // A block holds a query a line; indented lines go on.
    for (const query of block.trim().split(/\n(?!\s)/)) {
      const isLog = language === "logql";
      check(isLog ? "LogQL" : "PromQL", isLog ? logql : promql, `docs/${file}`, query);
    }
  }
}

mistakes.forEach((mistake) => console.log(mistake));
console.log(`queries: ${count.PromQL} of PromQL and ${count.LogQL} of LogQL parse; ${ids.size} panels`);
process.exitCode = mistakes.length || !count.PromQL || !count.LogQL ? 1 : 0;
