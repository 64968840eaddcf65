// What jsdom lacks and Grafana's libraries expect of a browser.
const { TextDecoder, TextEncoder } = require('util');
Object.assign(globalThis, { TextDecoder, TextEncoder });
globalThis.matchMedia ??= () => ({ matches: false, addListener() {}, removeListener() {}, addEventListener() {}, removeEventListener() {} });
globalThis.ResizeObserver ??= class { observe() {} unobserve() {} disconnect() {} };
globalThis.IntersectionObserver ??= class { observe() {} unobserve() {} disconnect() {} };
if (globalThis.HTMLCanvasElement) {
  HTMLCanvasElement.prototype.getContext = () => ({ measureText: (s) => ({ width: s.length * 8 }), font: "" });
}
const bootData = { settings: { featureToggles: {}, datasources: {}, defaultDatasource: '', buildInfo: { version: '12.4.0', env: 'test' }, appUrl: 'http://localhost/', appSubUrl: '' }, user: { locale: 'en' }, navTree: [] };
globalThis.grafanaBootData = bootData;
