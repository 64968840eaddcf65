// Package store is the logs store on the event engine: it decodes OTLP requests
// from their wire form straight into columns, and turns queries of the logs
// contract into those of package columnar.
//
// # Names on disk
//
// A stream's fields are kept under a letter that says where they are from: l.
// for labels (already label names), r. for other resource attributes, s. for
// scope attributes, n. for the scope's name and version. A record's attributes
// are columns under their own names, and what is not an attribute (fixed.go)
// under a name that begins with '@'; an attribute whose name begins so
// gets a second '@'. Original names are kept, so that http.route and http_route stay
// two columns; where a query says http_route, it means both.
//
// # Precedence
//
// Of several values for one name the first counts: the label, then what is
// fixed, then attributes by name, then the stream's metadata.
package store
