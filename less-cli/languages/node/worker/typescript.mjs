// Handlers in TypeScript: Node strips the types where it can, else the project's esbuild compiles them.

import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { sharedFile } from './shared.mjs';
import { LoadError } from './load_error.mjs';

/** Imports a handler in TypeScript. */
export async function importTypeScript(root, file) {
  if (!process.features.typescript) return importCompiled(root, file);
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    // Enums, namespaces and the like are more than types.
    if (error?.code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' || !findEsbuild(file)) throw error;
    return importCompiled(root, file);
  }
}

async function importCompiled(root, file) {
  const found = findEsbuild(file) ?? findEsbuild(path.join(root, 'package.json'));
  if (!found) {
    const place = path.relative(root, file);
    throw new LoadError(
      `${path.basename(file)} is TypeScript, which Node.js ${process.version} can't run by itself\n  --> ${place}\nhint: use Node.js 22.18 or later, or run \`npm install --save-dev esbuild\``,
    );
  }
  const esbuild = createRequire(file)(found);
  const compiled = await compile(esbuild, root, file);
  const url = pathToFileURL(compiled);
  // Tells the resolve hooks where its imports are looked for.
  url.searchParams.set('less-source', file);
  return import(url.href);
}

function findEsbuild(from) {
  try {
    return createRequire(from).resolve('esbuild');
  } catch {
    return undefined;
  }
}

/** Writes the handler as JavaScript, with what it imports by path; packages stay outside. */
async function compile(esbuild, root, file) {
  const folder = path.join(root, '.less', 'cache', 'node');
  mkdirSync(folder, { recursive: true });
  const name = createHash('sha256').update(file).digest('hex').slice(0, 16);
  const build = async (format) => {
    const outfile = path.join(folder, `${name}.${format === 'esm' ? 'mjs' : 'cjs'}`);
    const { metafile, outputFiles } = await esbuild.build({
      absWorkingDir: root,
      entryPoints: [file],
      outfile,
      format,
      bundle: true,
      platform: 'node',
      target: `node${process.versions.node}`,
      sourcemap: 'inline',
      sourcesContent: false,
      keepNames: true,
      metafile: true,
      write: false,
      logLevel: 'silent',
      plugins: [outside(root)],
    });
    // Several processes of a subscriber may write it at the same time.
    const fresh = `${outfile}.${process.pid}`;
    writeFileSync(fresh, outputFiles[0].contents);
    renameSync(fresh, outfile);
    const input = metafile.inputs[path.relative(root, file)];
    return { outfile, syntax: input?.format };
  };
  try {
    const esm = await build('esm');
    if (esm.syntax !== 'cjs') return esm.outfile;
    return (await build('cjs')).outfile;
  } catch (error) {
    if (!Array.isArray(error?.errors) || error.errors.length === 0) throw error;
    throw new LoadError(
      error.errors
        .map(({ text, location }) =>
          location
            ? `SyntaxError: ${text}\n    ${location.file}:${location.line}\n    ${location.lineText}\n    ${' '.repeat(location.column)}^`
            : `Error: ${text}`,
        )
        .join('\n'),
    );
  }
}

/** Packages are left to Node; a shared module that Node would not find is compiled along. */
function outside(root) {
  return {
    name: 'less',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path: specifier, kind, importer }) => {
        if (kind === 'entry-point' || path.isAbsolute(specifier)) return undefined;
        const shared = sharedFile(root, specifier);
        if (shared && !isFound(specifier, importer)) return { path: shared };
        return { path: specifier, external: true };
      });
    },
  };
}

function isFound(specifier, importer) {
  try {
    const paths = createRequire(importer).resolve.paths(specifier);
    // Null for Node's own modules.
    if (paths === null) return true;
    return !createRequire(importer).resolve(specifier).includes(`${path.sep}less${path.sep}shared${path.sep}`);
  } catch {
    return false;
  }
}
