package chattonic

import (
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Contract is how the fields of an answer depart from those of the documented
// one. Of an answer that does not depart it is the zero value.
//
// Fields are named as in errors, such as nps in a row of the dashboard and
// operators.nps, and each is named once, whatever number of operators or rows
// it is about. The lists are in alphabetical order.
type Contract struct {
	// Unknown are fields that are not documented, at most 20: an API that has
	// more of them is another one. Their names come from the API: one that is no
	// plain word of up to 40 letters and digits, or that has to do with what the
	// request carried, such as the access token, is "?".
	Unknown []string
	// Missing are documented fields that are absent somewhere. null is a value.
	// The status of an operator may be absent, as it is in the documented answer.
	Missing []string
}

const (
	// maxUnknown bounds how many unknown fields are named, and maxName how many
	// characters a name has.
	maxUnknown, maxName = 20, 40
	// hiddenName stands for names that are not shown.
	hiddenName = "?"
	// leastSecret is the number of bytes below which nothing is a secret.
	leastSecret = 8
)

// response is an answer that is still to be read.
type response struct {
	body io.Reader
	size int64       // of the body in bytes, or -1 where it is not known
	sent http.Header // of the request, which may be secret

	contentType string // the header
}

// shown returns the name of a member as it may be shown to people.
func (r *response) shown(text string) string {
	plain := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_-$", c) }
	if text == "" || len(text) > maxName*utf8.UTFMax || utf8.RuneCountInString(text) > maxName || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(c rune) bool { return !plain(c) }) || r.quotes(text) {
		return hiddenName
	}
	return text
}

// quotes says whether a name has to do with a secret of the request.
func (r *response) quotes(name string) bool {
	for header, values := range r.sent {
		if header == "Accept" || header == "Content-Type" { // the documented ones, which are no secret
			continue
		}
		for word := range strings.FieldsSeq(strings.Join(values, " ")) {
			if len(word) >= leastSecret && strings.Contains(name, word) || len(name) >= leastSecret && strings.Contains(word, name) {
				return true
			}
		}
	}
	return false
}
