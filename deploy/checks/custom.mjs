// Checks documents of other projects' kinds (Gateway API, grafana-operator, prometheus-operator): their values by the
// published validators, and by the published types that no member is unknown.
//
// usage: node custom.mjs MODULES FILE…   (MODULES: the node_modules with @kubernetes-models, js-yaml and typescript)
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, ...files] = process.argv.slice(2);
const require = createRequire(path.resolve(modules, "any.js"));
const yaml = require("js-yaml");
const ts = require("typescript");

// Where a kind is published, by its group.
const packages = {
  "gateway.networking.k8s.io": "gateway-api",
  "grafana.integreatly.org": "grafana-operator",
  "monitoring.coreos.com": "prometheus-operator",
};

const mistakes = [];
// A file of types for all: each document is written as a literal, in which the compiler finds unknown members.
const literals = [];

for (const file of files) {
  for (const document of yaml.loadAll(fs.readFileSync(file, "utf8"))) {
    const [group, version] = (document?.apiVersion ?? "").split("/");
    if (!packages[group]) continue;
    const { kind } = document;
    const module = path.resolve(modules, "@kubernetes-models", packages[group], group, version, `${kind}.js`);
    const place = `${file}: ${kind} ${document.metadata.name}`;
    const { [kind]: Model } = await import(pathToFileURL(module));
    try {
      new Model(document).validate();
    } catch (error) {
      mistakes.push(`${place}: ${error.message}`);
    }
    literals.push({ place, text: `export const value: import(${JSON.stringify(module)}).I${kind} = ${JSON.stringify(document)};` });
  }
}

// Beside the modules, so that their imports are found.
const root = path.resolve(modules, "..");
const named = literals.map(({ place, text }, at) => ({ place, text, name: path.join(root, `document-${at}.mts`) }));
const options = { noEmit: true, strict: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022, types: [] };
const host = ts.createCompilerHost(options);
const written = new Map(named.map(({ name, text }) => [name, text]));
const { readFile, fileExists, getSourceFile } = host;
host.readFile = (name) => written.get(name) ?? readFile.call(host, name);
host.fileExists = (name) => written.has(name) || fileExists.call(host, name);
host.getSourceFile = (name, ...rest) =>
  written.has(name) ? ts.createSourceFile(name, written.get(name), ts.ScriptTarget.ES2022) : getSourceFile.call(host, name, ...rest);
const program = ts.createProgram([...written.keys()], options, host);
for (const { place, name } of named) {
  for (const { messageText } of ts.getPreEmitDiagnostics(program, program.getSourceFile(name))) {
    mistakes.push(`${place}: ${ts.flattenDiagnosticMessageText(messageText, " ").slice(0, 300)}`);
  }
}

mistakes.forEach((mistake) => console.log(mistake));
console.log(`custom resources: ${literals.length} documents`);
process.exitCode = mistakes.length || !literals.length ? 1 : 0;
