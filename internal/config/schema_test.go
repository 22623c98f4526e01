package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the JSON Schema into deploy/ and the Helm chart")

const (
	schemaFile  = "../../deploy/exporter.schema.json"
	chartSchema = "../../deploy/helm/chattonic-exporter/values.schema.json"
)

// The chart's schema has that of the configuration on one line.
var chartLine = regexp.MustCompile(`(?m)^ {4}"config": .*$`)

// TestSchemaFiles checks that the files have the schema of the types. make schema writes them.
func TestSchemaFiles(t *testing.T) {
	schema := with(with(Schema(), "$schema", "http://json-schema.org/draft-07/schema#"), "title", "Configuration file of chattonic_exporter")
	want, err := json.MarshalIndent(schema, "", "  ")
	require.NoError(t, err)
	line, err := json.Marshal(Schema())
	require.NoError(t, err)
	line = append(append([]byte(`    "config": `), line...), ',')
	chart, err := os.ReadFile(chartSchema)
	require.NoError(t, err)
	require.Len(t, chartLine.FindAll(chart, -1), 1)
	if *update {
		require.NoError(t, os.WriteFile(schemaFile, append(want, '\n'), 0o600))
		require.NoError(t, os.WriteFile(chartSchema, chartLine.ReplaceAllLiteral(chart, line), 0o600))
		return
	}
	got, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(bytes.TrimSpace(got)), "run make schema")
	assert.Equal(t, string(line), string(chartLine.Find(chart)), "run make schema")
}

func TestSchemaDescribesEachKeyOfATeam(t *testing.T) {
	keys, _ := keysOf(reflect.TypeFor[teamSettings]())
	assert.Len(t, descriptions, len(keys))
	for _, key := range keys {
		assert.NotEmpty(t, descriptions[key], key)
	}
}
