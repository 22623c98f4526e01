package chattonic

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// UserType says whose answers an NPS report holds.
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

// ExportNPS has Chat-Tonic send an NPS report over the window by e-mail to the
// user that the access token belongs to. It is asked once and never again,
// however it fails, because each call sends an e-mail: after an error the
// e-mail may still have been sent.
func (c *Client) ExportNPS(ctx context.Context, window Window, userType UserType) error {
	if !slices.Contains(UserTypes(), userType) {
		return fmt.Errorf("user type %q is none of %s", userType, joinUserTypes())
	}
	return c.get(ctx, EndpointNPS, "nps/export", window, [][2]string{{"typeUser", string(userType)}}, func(r response) error {
		// The form of the answer is not documented: only a refusal is looked for, and
		// the rest has to arrive.
		var answer refusal
		_, _ = decode(r, &answer, 0, "")
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
