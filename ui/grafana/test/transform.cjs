// Compiles TypeScript and ECMAScript modules for Jest with the bundler's own compiler.
const { transformSync } = require('esbuild');

module.exports = {
  process(source, path) {
    const loader = path.endsWith('.tsx') ? 'tsx' : path.endsWith('.ts') ? 'ts' : 'js';
    const { code, map } = transformSync(source, {
      loader, format: 'cjs', target: 'node20', jsx: 'transform', sourcemap: true, sourcefile: path,
      define: { 'import.meta.url': '__filename' },
      supported: { 'dynamic-import': true },
    });
    return { code, map };
  },
};
