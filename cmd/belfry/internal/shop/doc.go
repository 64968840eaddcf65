// Package shop is a small web shop: real HTTP services, each with its own port
// and its own OpenTelemetry SDK, that call each other and are kept busy by a
// load generator. It is what `belfry demo` watches, and a source of realistic
// telemetry for tests.
//
//	shoppers -> storefront -> catalog
//	                       -> cart
//	                       -> checkout -> cart
//	                                   -> payment
//	                                   -> shipping -> inventory
//
// Trouble comes and goes on a timetable (see trouble.go): the payment service
// declines and times out for a while, the catalog gets slow, the warehouse runs
// out of stock, so that there is always something to find.
package shop
