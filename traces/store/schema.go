package store

import (
	"belfry/internal/columnar"
	"belfry/traces"
)

// blockRows is smaller than the engine's default: spans are mostly read a trace
// at a time, a few rows of each block.
const blockRows = 8 << 10

// mergeMemory is what a merge may take.
const mergeMemory = 64 << 20

// Handles of the fixed columns: their positions in fixedColumns. New ones are
// added at the end.
const (
	colTraceID columnar.ColRef = iota
	colSpanID
	colParentID
	colName
	colKind
	colDuration
	colStatus
	colStatusMessage
	colTraceState
	colFlags
	colEvents
	colLinks
	colDroppedAttributes
	colDroppedEvents
	colDroppedLinks

	// Derived when a part is written; see derive.go.
	colOrdinal
	colLeft
	colRight
	colParentLeft
	colChildCount
	colTraceDuration
	colRootName
	colRootService
	colSelfTime
	colServices
	colServiceErrors
)

// derivedColumns are the columns that derive sets.
func derivedColumns() []columnar.ColRef {
	return []columnar.ColRef{colLeft, colRight, colParentLeft, colChildCount, colTraceDuration, colRootName, colRootService, colSelfTime, colServices, colServiceErrors}
}

// Names of the fixed columns.
const (
	nameTraceID           = ":trace_id"
	nameSpanID            = ":span_id"
	nameParentID          = ":parent_span_id"
	nameName              = ":name"
	nameKind              = ":kind"
	nameDuration          = ":duration"
	nameStatus            = ":status"
	nameStatusMessage     = ":status_message"
	nameTraceState        = ":trace_state"
	nameFlags             = ":flags"
	nameEvents            = ":events"
	nameLinks             = ":links"
	nameDroppedAttributes = ":dropped_attributes"
	nameDroppedEvents     = ":dropped_events"
	nameDroppedLinks      = ":dropped_links"
	nameOrdinal           = ":trace"
	nameLeft              = ":left"
	nameRight             = ":right"
	nameParentLeft        = ":parent_left"
	nameChildCount        = ":child_count"
	nameTraceDuration     = ":trace_duration"
	nameRootName          = ":root_name"
	nameRootService       = ":root_service"
	nameSelfTime          = ":self_time"
	nameServices          = ":services"
	nameServiceErrors     = ":service_errors"
)

func fixedColumns() []columnar.ColumnDef {
	return []columnar.ColumnDef{
		colTraceID:           {Name: nameTraceID, Kind: columnar.KindID, Indexed: true},
		colSpanID:            {Name: nameSpanID, Kind: columnar.KindID, NoFilter: true},
		colParentID:          {Name: nameParentID, Kind: columnar.KindID, NoFilter: true},
		colName:              {Name: nameName, Kind: columnar.KindString, NoWordFilter: true},
		colKind:              {Name: nameKind, Kind: columnar.KindInt},
		colDuration:          {Name: nameDuration, Kind: columnar.KindInt},
		colStatus:            {Name: nameStatus, Kind: columnar.KindInt},
		colStatusMessage:     {Name: nameStatusMessage, Kind: columnar.KindString, NoWordFilter: true},
		colTraceState:        {Name: nameTraceState, Kind: columnar.KindString, NoFilter: true},
		colFlags:             {Name: nameFlags, Kind: columnar.KindInt},
		colEvents:            {Name: nameEvents, Kind: columnar.KindBytes, NoFilter: true},
		colLinks:             {Name: nameLinks, Kind: columnar.KindBytes, NoFilter: true},
		colDroppedAttributes: {Name: nameDroppedAttributes, Kind: columnar.KindInt},
		colDroppedEvents:     {Name: nameDroppedEvents, Kind: columnar.KindInt},
		colDroppedLinks:      {Name: nameDroppedLinks, Kind: columnar.KindInt},
		colOrdinal:           {Name: nameOrdinal, Kind: columnar.KindInt},
		colLeft:              {Name: nameLeft, Kind: columnar.KindInt},
		colRight:             {Name: nameRight, Kind: columnar.KindInt},
		colParentLeft:        {Name: nameParentLeft, Kind: columnar.KindInt},
		colChildCount:        {Name: nameChildCount, Kind: columnar.KindInt},
		colTraceDuration:     {Name: nameTraceDuration, Kind: columnar.KindInt, Head: true},
		colRootName:          {Name: nameRootName, Kind: columnar.KindString, NoWordFilter: true},
		colRootService:       {Name: nameRootService, Kind: columnar.KindString, NoWordFilter: true},
		colSelfTime:          {Name: nameSelfTime, Kind: columnar.KindInt},
		colServices:          {Name: nameServices, Kind: columnar.KindBytes, NoFilter: true},
		colServiceErrors:     {Name: nameServiceErrors, Kind: columnar.KindBytes, NoFilter: true},
	}
}

// Fields of streams.
const (
	resourcePrefix              = "resource."
	scopePrefix                 = "scope."
	fieldScopeName              = ":scope_name"
	fieldScopeVersion           = ":scope_version"
	fieldScopeSchemaURL         = ":scope_schema_url"
	fieldScopeDropped           = ":scope_dropped_attributes"
	fieldResourceSchemaURL      = ":resource_schema_url"
	fieldResourceDropped        = ":resource_dropped_attributes"
	escape                 byte = ':'
)

// attributeColumn returns the name of the column of a span attribute.
func attributeColumn(key string) string {
	if key != "" && key[0] == escape {
		return string(escape) + key
	}
	return key
}

// attributeKey returns the attribute that a column holds; ok is false for the
// span's own columns.
func attributeKey(column string) (key string, ok bool) {
	if column == "" || column[0] != escape {
		return column, true
	}
	if len(column) > 1 && column[1] == escape {
		return column[1:], true
	}
	return "", false
}

// valueOf returns a value of the engine as a value of the contract.
func valueOf(v columnar.Value) traces.Value {
	switch v.Kind() {
	case columnar.KindString:
		return traces.String(v.Str())
	case columnar.KindInt:
		return traces.Int(v.Int())
	case columnar.KindFloat:
		return traces.Float(v.Float())
	case columnar.KindBool:
		return traces.Bool(v.Bool())
	case columnar.KindBytes:
		return traces.Bytes(v.Str())
	case columnar.KindJSON:
		return jsonValue(v.Str())
	}
	return traces.String(v.Text())
}

// jsonValue reads an array or a map. What the decoder wrote can be read; if it
// cannot, its text is better than nothing.
func jsonValue(text string) traces.Value {
	v, err := traces.ParseJSON(text)
	if err != nil {
		return traces.String(text)
	}
	return v
}
