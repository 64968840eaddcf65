/** Tests run the sources as they are, in jsdom, with Grafana's own libraries. */
module.exports = {
  testEnvironment: 'jsdom',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  transform: {
    '\\.(ts|tsx|mjs)$': '<rootDir>/test/transform.cjs',
    // What is published as ECMAScript modules only.
    'node_modules/(ol|d3|d3-.*|internmap|delaunator|robust-predicates|@openfeature|react-calendar|uuid|marked|get-user-locale|memoize|mimic-function|rbush|quickselect|earcut|pbf|lerc|color-.*|geotiff|quick-lru|@kurkle|react-colorful|@wojtekmaj)/.*\\.m?js$': '<rootDir>/test/transform.cjs',
  },
  transformIgnorePatterns: [],
  moduleNameMapper: { '\\.(css|svg)$': '<rootDir>/test/empty.cjs', 'monaco-editor.*': '<rootDir>/test/empty.cjs' },
  setupFiles: ['<rootDir>/test/setup.cjs'],
};
