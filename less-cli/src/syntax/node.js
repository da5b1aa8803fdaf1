const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

/** `module`, `commonjs`, or nothing where no package.json says it. */
function typeOf(name) {
  if (name.endsWith('.mjs')) return 'module';
  for (let folder = path.resolve(path.dirname(name)); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type;
    } catch {
      if (folder === path.dirname(folder)) return undefined;
    }
  }
}

const KINDS = {
  commonjs: (text, name) => vm.compileFunction(text, ['exports', 'require', 'module', '__filename', '__dirname'], { filename: name }),
  module: (text, name) => new vm.SourceTextModule(text, { identifier: name }),
};

for (const name of process.argv.slice(1)) {
  const text = fs.readFileSync(name, 'utf8').replace(/^\uFEFF?(#!.*)?/, '');
  const type = typeOf(name);
  // Where nothing says it, Node.js takes what has `import` or `export` for a module.
  const kinds = KINDS[type] ? [type] : /^\s*(import|export)\b/m.test(text) ? ['module', 'commonjs'] : ['commonjs', 'module'];
  const errors = [];
  for (const kind of kinds) {
    try {
      KINDS[kind](text, name);
      errors.length = 0;
      break;
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) {
    // Of a module only the program that is to run it tells the line.
    const said = [errors[0].stack, spawnSync(process.execPath, ['--check', name], { encoding: 'utf8' }).stderr];
    const line = Number(said.map((text) => /^.*:(\d+)\n/.exec(text)?.[1]).find(Boolean));
    console.log(JSON.stringify({ file: name, line: line || null, message: String(errors[0]) }));
  }
}
