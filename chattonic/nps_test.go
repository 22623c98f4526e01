package chattonic_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

func TestExportNPSUserTypes(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []chattonic.UserType{"all", "promoter", "passive", "detractor"}, chattonic.UserTypes())
	var asked []string
	client := newClient(t, baseURL, transport(func(req *http.Request) (*http.Response, error) {
		asked = append(asked, req.URL.Query().Get("typeUser"))
		return answer(200, ``), nil
	}))
	for _, userType := range chattonic.UserTypes() {
		require.NoError(t, client.ExportNPS(t.Context(), november, userType))
	}
	for _, userType := range []chattonic.UserType{"", "All", "neutral"} {
		err := client.ExportNPS(t.Context(), november, userType)
		assert.EqualError(t, err, `unknown user type "`+string(userType)+`": use one of all, promoter, passive, detractor`)
	}
	assert.Equal(t, []string{"all", "promoter", "passive", "detractor"}, asked)
}

// No answer is documented, so an answer is a success unless it shows a failure.
func TestExportNPSAnswers(t *testing.T) {
	t.Parallel()
	const (
		html    = "the answer is an HTML page, such as a login page: check the base URL and the proxy"
		status  = `Chat-Tonic refused: "status" is false`
		success = `Chat-Tonic refused: "success" is false`
	)
	for _, c := range []struct{ contentType, body, want string }{
		{"", ``, ""},
		{"", `null`, ""},
		{"", `[]`, ""},
		{"", `{}`, ""},
		{"", `OK`, ""},
		{"text/plain; charset=utf-8", `a < b`, ""},
		{"application/json", `{"status": true, "success": true}`, ""},
		{"", `{"status": null}`, ""},
		{"", `{"status": "ok", "success": 1}`, ""},
		{"", `{"STATUS": false, "sent": false}`, ""},
		{"", `{"message": "status", "other": false}`, ""},
		{"", `["status", false]`, ""},
		{"", `{"status": false}`, status},
		{"", ` {"message": "no", "status": false}`, status},
		{"", `{"status": false, "status": true}`, status},
		{"", `{"status": true, "status": false}`, status},
		{"", `{"status": "ok", "success": false}`, success},
		{"", `{"success": false, "error": "nope"}`, success},
		{"", `{"data": [{"success": false}]}`, success},
		{"", "\ufeff{\"success\": false}", success},
		{"", `{"status": false`, status},
		{"text/html", ``, html},
		{"Text/HTML; charset=utf-8", `Please log in`, html},
		{"text/html;;", `Please log in`, html},
		{"application/json", `<html>`, html},
		{"", "\ufeff \r\n<!DOCTYPE html>", html},
	} {
		err := newClient(t, baseURL, constant(200, c.body, "Content-Type", c.contentType)).ExportNPS(t.Context(), november, chattonic.UserTypeAll)
		if c.want == "" {
			assert.NoError(t, err, c.body)
		} else {
			assert.Equal(t, answerError(chattonic.EndpointNPS, c.want), err, c.body)
		}
	}
}

// A redirect leads to a login page more often than to the export.
func TestExportNPSFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for status, location := range map[int]string{301: "/login", 302: "https://elsewhere.example/", 303: "", 307: "/login", 308: "/login"} {
		requests := 0
		via := transport(func(*http.Request) (*http.Response, error) {
			if requests++; requests > 1 {
				return answer(200, ""), nil
			}
			return answer(status, "", "Location", location), nil
		})
		err := newClient(t, baseURL, via).ExportNPS(t.Context(), november, chattonic.UserTypeAll)
		assert.Equal(t, chattonic.Error{
			Endpoint: chattonic.EndpointNPS, StatusCode: status, Cause: chattonic.CauseStatus,
			Detail: fmt.Sprintf("HTTP %d, a redirect, which an NPS export does not follow: check the base URL and that the access token is current", status),
		}, err)
		assert.Equal(t, 1, requests)
	}
}
