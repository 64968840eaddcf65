// Package influx takes metrics in InfluxDB's line protocol, as Telegraf and
// other agents write them, by the HTTP APIs of versions 1 and 2.
//
// A line makes one series for each of its fields that is a number or a boolean:
// the measurement and the field's name, joined by an underscore, are its name,
// the line's tags are its labels, and the database (version 1: db) or the bucket
// (version 2) is the label "db". What cannot be in the name of a metric or
// label becomes an underscore. Fields of text have no place in a series and are
// counted, not refused.
//
// A line that cannot be read, or a point that the store refuses, does not take
// the others with it; the answer says which line and why.
package influx
