package chattonic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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

// ExportNPS requests an NPS report for the window. Chat-Tonic sends it by e-mail to
// the user of the access token. ExportNPS never retries, because each request sends an
// e-mail. After an error the e-mail may still have been sent. Errors are of the type
// [Error], except the one for an unknown user type.
func (c *Client) ExportNPS(ctx context.Context, window Window, userType UserType) error {
	if !slices.Contains(UserTypes(), userType) {
		return fmt.Errorf("unknown user type %q: use one of %s", userType, joinUserTypes())
	}
	return c.get(ctx, EndpointNPS, "nps/export", window, [][2]string{{"typeUser", string(userType)}}, func(r response) error {
		// The answer is not documented: only a false status and an HTML page are errors, but
		// the body must be complete.
		var answer statusField
		if _, err := decode(r, &answer, 0, ""); errors.Is(err, errHTML) {
			return err
		}
		_, _ = io.Copy(io.Discard, r.body)
		return answer.check()
	})
}

func joinUserTypes() string {
	var names []string
	for _, t := range UserTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
