package chattonic

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// UserType selects the users whose responses an NPS report contains.
type UserType string

// The documented user types.
const (
	UserTypeAll       UserType = "all"
	UserTypePromoter  UserType = "promoter"
	UserTypePassive   UserType = "passive"
	UserTypeDetractor UserType = "detractor"
)

// UserTypes returns the documented user types.
func UserTypes() []UserType {
	return []UserType{UserTypeAll, UserTypePromoter, UserTypePassive, UserTypeDetractor}
}

// ExportNPS requests an NPS report over the window, which Chat-Tonic sends by
// e-mail to the user of the access token. It sends one request, follows no
// redirect and never retries, because each request can send an e-mail. After an
// error the e-mail may still have been sent.
func (c *Client) ExportNPS(ctx context.Context, window Window, userType UserType) error {
	if !slices.Contains(UserTypes(), userType) {
		return fmt.Errorf("unknown user type %q: use one of %s", userType, joinUserTypes())
	}
	return c.get(ctx, EndpointNPS, "nps/export", window, [][2]string{{"typeUser", string(userType)}}, checkExport)
}

// checkExport returns an error if the answer shows that the export failed. The
// format of the answer is not documented, so any other answer is a success once it
// has arrived completely.
func checkExport(r response) error {
	if mediaType, _, _ := strings.Cut(r.contentType, ";"); strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
		return errHTML
	}
	body := bufio.NewReader(r.body)
	for {
		first, _, err := body.ReadRune()
		if err != nil {
			return nil //nolint:nilerr // an empty body, or one that breaks, which get reports
		}
		if first == '<' {
			return errHTML
		}
		if first != '\ufeff' && !unicode.IsSpace(first) {
			break
		}
	}
	_ = body.UnreadRune() // cannot fail after ReadRune
	if err := findRefusal(body); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, body) // get reports a body that breaks
	return nil
}

// findRefusal returns an error if the body, as far as it is JSON, holds
// "status": false or "success": false at any depth.
func findRefusal(body io.Reader) error {
	tokens := jsontext.NewDecoder(body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	name := ""
	for {
		token, err := tokens.ReadToken()
		if err != nil {
			return nil //nolint:nilerr // the end of the body, or of the JSON in it
		}
		container, n := tokens.StackIndex(tokens.StackDepth())
		switch {
		case container != '{':
		case n%2 == 1:
			name = token.String()
		case token.Kind() == 'f' && (name == "status" || name == "success"):
			return fmt.Errorf("Chat-Tonic refused: %q is false", name)
		}
	}
}

func joinUserTypes() string {
	var names []string
	for _, t := range UserTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
