package config

import (
	"maps"
	"reflect"
	"slices"

	promconfig "github.com/prometheus/common/config"

	"chattonic_exporter/internal/calendar"
)

// descriptions says what each key of a team is, for editors.
var descriptions = map[string]string{
	"codename":             "Name of the team in the API's URLs.",
	"display_name":         "Name of the team on the pages. Default: the codename.",
	"base_url":             "Base URL of the API, such as https://chat-tonic.example.",
	"windows":              "Time windows: durations such as 24h or 7d, or today, yesterday, this_week, this_month. Default: 24h.",
	"timezone":             "IANA time zone of windows such as today. Default: UTC.",
	"duration_unit":        "Unit of the times in the API, which does not document it. Default: seconds.",
	"date_format_group":    "Format by which the dashboard groups its rows; a constant such as 0 gives a single row.",
	"delay":                "Time between the end of the windows and now, for data that the API provides late. Default: 0s.",
	"ttl":                  "How long an answer of an endpoint is reused by later scrapes. Default: 0s.",
	"max_calls_per_minute": "Maximum number of requests to the API in any minute, retries included. Default: no limit.",
	"collectors":           "Endpoints to request. Default: all.",
	"at_work":              "States in which an operator is at work, in any letter case. Default: online.",
	"operator_names":       "Whether names and origins of operators are shown. Default: true.",
	"forecasts":            "Whether the pages show when a queue will reach its limit. Default: false.",
	"thresholds":           "Thresholds for alerts.",
	"business_hours":       "Hours in which alerts about the queue fire. Default: always.",
	"http_client":          "Access token, TLS and proxy, as in Prometheus.",
}

// scalarSchemas holds the JSON Schemas of the scalars in a file.
var scalarSchemas = map[reflect.Type]map[string]any{
	reflect.TypeFor[codename]():            text(),
	reflect.TypeFor[displayName]():         text(),
	reflect.TypeFor[dateFormatGroup]():     text(),
	reflect.TypeFor[operatorState]():       text(),
	reflect.TypeFor[timeZone]():            pattern(`^[A-Za-z]`),
	reflect.TypeFor[baseURL]():             pattern(`^https?://.`),
	reflect.TypeFor[duration]():            {"type": []any{"string", "integer"}, "pattern": `^(0|([0-9]+(ms|[smhdwy]))+)$`, "maximum": 0},
	reflect.TypeFor[timeOfDay]():           pattern(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`),
	reflect.TypeFor[calendar.WindowSpec](): pattern(`^(today|yesterday|this_week|this_month|([0-9]+[wdhms])+)$`),
	reflect.TypeFor[threshold]():           {"type": []any{"number", "string"}, "minimum": 0},
	reflect.TypeFor[callsPerMinute]():      {"type": []any{"integer", "string"}, "minimum": 1},
}

func pattern(expression string) map[string]any {
	return map[string]any{"type": "string", "pattern": expression}
}

// text is the schema of a text, which YAML takes for a number if it looks like one.
func text() map[string]any {
	return map[string]any{"type": []any{"string", "number"}, "minLength": 1}
}

// Schema returns the JSON Schema (draft 7) of a configuration file, for editors and for the Helm
// chart. It is made from the types that a file is decoded into. It accepts each valid file;
// loading a file checks more.
func Schema() map[string]any {
	defaults, team := schemaOf(reflect.TypeFor[settings](), false), schemaOf(reflect.TypeFor[teamSettings](), false)
	team["required"] = []any{"codename"}
	return object(map[string]any{
		"defaults": orNull(defaults),
		"teams":    map[string]any{"type": "array", "items": team},
	})
}

// schemaOf returns the schema of the values of a type. nullable has the meaning it has in
// validator.
func schemaOf(t reflect.Type, nullable bool) map[string]any {
	pointer := t.Kind() == reflect.Pointer
	if pointer {
		t = t.Elem()
	}
	schema := valueSchema(t, nullable)
	if pointer || nullable {
		return orNull(schema)
	}
	return schema
}

func valueSchema(t reflect.Type, nullable bool) map[string]any {
	if scalar, ok := scalarSchemas[t]; ok {
		return scalar
	}
	if e, ok := reflect.New(t).Interface().(enum); ok {
		return map[string]any{"enum": e.choices()}
	}
	switch kind := t.Kind(); {
	case t == nodeType: // only http_client is decoded later
		return schemaOf(reflect.TypeFor[promconfig.HTTPClientConfig](), true)
	case t == urlType, kind == reflect.String:
		return map[string]any{"type": []any{"string", "number"}}
	case kind == reflect.Interface:
		return map[string]any{} // anything
	case kind == reflect.Uint16: // a TLS version
		return map[string]any{"type": "string"}
	case kind == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case kind == reflect.Slice:
		list := map[string]any{"type": "array", "items": schemaOf(t.Elem(), nullable)}
		if !nullable {
			list["minItems"], list["uniqueItems"] = 1, true
		}
		return list
	}
	keys, types := keysOf(t)
	if keys == nil {
		return map[string]any{"type": "object", "additionalProperties": schemaOf(types[""], nullable)}
	}
	properties := map[string]any{}
	for _, key := range keys {
		property := schemaOf(types[key], nullable)
		if types[key].Kind() == reflect.Struct && scalarSchemas[types[key]] == nil { // null has no keys
			property = orNull(property)
		}
		if description := descriptions[key]; description != "" && !nullable {
			property = with(property, "description", description)
		}
		properties[key] = property
	}
	return object(properties)
}

func object(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// with returns a copy of a schema with one more keyword.
func with(schema map[string]any, keyword string, value any) map[string]any {
	extended := maps.Clone(schema)
	extended[keyword] = value
	return extended
}

// orNull returns a schema that also accepts null.
func orNull(schema map[string]any) map[string]any {
	switch types := schema["type"].(type) {
	case string:
		return with(schema, "type", []any{types, "null"})
	case []any:
		if slices.Contains(types, any("null")) {
			return schema
		}
		return with(schema, "type", append(slices.Clone(types), "null"))
	default:
		return schema
	}
}
