// Package ui serves Belfry's web app from the binary.
//
// The app's source is in app (React and TypeScript, built by Vite into dist);
// dist is embedded when the binary is compiled. Where dist holds no build, the
// handler serves a placeholder page that says how to make one, so compiling
// and testing the Go code needs no Node.
//
// What the handler promises:
//   - Only files of the build are served, looked up by exact name in a table
//     made at start: there is no directory listing and no way out of the table.
//   - The app's own routes (see Routes) answer with its index page, so a deep
//     link works when opened directly. Every other unknown path is a 404 and
//     never HTML with status 200, which a mistyped API call would take for
//     success.
//   - Files named by their content hash (assets/) may be cached for a year;
//     all others must be revalidated, by entity tag.
//   - A content security policy allows scripts, styles, fonts, images and
//     requests from Belfry itself only, and nothing inline.
//
// The app talks to Belfry by its public HTTP APIs alone and never to any other
// host. So does the data source plugin for Grafana (folder grafana), which is a
// Go module of its own and no part of the binary.
package ui
