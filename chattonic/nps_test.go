package chattonic_test

import (
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

// No answer is documented, so each body means success unless it says otherwise. An HTML
// page comes from elsewhere, see TestAnswersOfOthers.
func TestExportNPSAnswers(t *testing.T) {
	t.Parallel()
	for body, refused := range map[string]bool{
		``: false, `null`: false, `[]`: false, `{}`: false, `OK`: false, `{"status": true}`: false, `{"status": null}`: false,
		`{"STATUS": false}`: false, `{"status": false, "status": true}`: true,
		`{"status": false}`: true, ` {"message": "no", "status": false}`: true,
	} {
		err := newClient(t, baseURL, constant(200, body)).ExportNPS(t.Context(), november, chattonic.UserTypeAll)
		if refused {
			assert.Equal(t, answerError(chattonic.EndpointNPS, `Chat-Tonic refused: "status" is false`), err, body)
		} else {
			assert.NoError(t, err, body)
		}
	}
}
