package store

import (
	"strings"

	"belfry/internal/columnar"
	"belfry/logs"
)

// Handles of the fixed columns: positions in fixedColumns. They are part of the
// format: new ones go to the end.
const (
	colBody columnar.ColRef = iota
	colBodyJSON
	colSeverityNumber
	colSeverityText
	colDetectedLevel
	colObservedTime
	colTraceID
	colSpanID
	colFlags
	colEventName
	colDropped
)

const (
	fixedPrefix = "@"
	bodyName    = fixedPrefix + "body"
)

func fixedColumns() []columnar.ColumnDef {
	return []columnar.ColumnDef{
		{Name: bodyName, Kind: columnar.KindString},
		{Name: bodyName, Kind: columnar.KindJSON},
		{Name: fixedPrefix + logs.FieldSeverityNumber, Kind: columnar.KindInt},
		{Name: fixedPrefix + logs.FieldSeverityText, Kind: columnar.KindString, NoWordFilter: true},
		{Name: fixedPrefix + logs.FieldDetectedLevel, Kind: columnar.KindString, NoWordFilter: true},
		{Name: fixedPrefix + logs.FieldObservedTime, Kind: columnar.KindInt, NoFilter: true},
		{Name: fixedPrefix + logs.FieldTraceID, Kind: columnar.KindID, Indexed: true},
		{Name: fixedPrefix + logs.FieldSpanID, Kind: columnar.KindID},
		{Name: fixedPrefix + logs.FieldFlags, Kind: columnar.KindInt, NoFilter: true},
		{Name: fixedPrefix + logs.FieldEventName, Kind: columnar.KindString, NoWordFilter: true},
		{Name: fixedPrefix + logs.FieldDroppedAttrCount, Kind: columnar.KindInt, NoFilter: true},
	}
}

// isFixed reports whether a column's name is one of the fixed ones.
func isFixed(name string) bool {
	return strings.HasPrefix(name, fixedPrefix) && !strings.HasPrefix(name, fixedPrefix+fixedPrefix)
}

// columnLabel returns the label name that a column is seen as, "" for the body.
func columnLabel(name string) string {
	switch {
	case name == bodyName:
		return ""
	case strings.HasPrefix(name, fixedPrefix):
		return logs.LabelName(name[len(fixedPrefix):])
	}
	return logs.LabelName(name)
}

// attributeColumn appends the name of the column that holds an attribute.
func attributeColumn(dst, key []byte) []byte {
	if len(key) > 0 && key[0] == fixedPrefix[0] {
		dst = append(dst, fixedPrefix...)
	}
	return append(dst, key...)
}

// Prefixes of stream fields.
const (
	prefixLabel    = "l."
	prefixName     = "n."
	prefixResource = "r."
	prefixScope    = "s."
)

const prefixSize = 2
