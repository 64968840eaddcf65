// Package config reads Belfry's one configuration file strictly: unknown keys,
// values of the wrong type, duplicate keys and everything that a section's own
// Validate refuses are reported together, each with its line and its path.
//
// The package knows no section. A section is any struct with yaml tags; those
// with a Validate() error method are asked after decoding, and the faults they
// join (errors.Join), each starting with the path of the field that it is about
// ("retention.time: must be positive"), are found back in the file.
package config
