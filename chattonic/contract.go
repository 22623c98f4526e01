package chattonic

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Contract lists the differences between the fields of an answer and the documented
// fields. It is the zero value if there are none.
//
// Field names are those of error messages, such as nps for a dashboard row and
// operators.nps for an operator. Each field is listed once, however many operators or
// rows are affected. The lists are sorted.
type Contract struct {
	// Unknown holds the undocumented fields of the answer, at most 20. The names come
	// from the API. A name is replaced by "?" if it is longer than 40 characters, has
	// characters other than letters, digits, "_", "-" and "$", or overlaps with a
	// request header, which may be the access token.
	Unknown []string
	// Missing holds the documented fields that at least one operator or row lacks. A
	// field with the value null is not missing. The status of an operator is optional,
	// because the documented answer lacks it.
	Missing []string
}

const (
	// maxUnknown is the maximum length of Contract.Unknown, and maxName the maximum
	// number of characters of an unknown field's name.
	maxUnknown, maxName = 20, 40
	// hiddenName replaces names that must not be shown.
	hiddenName = "?"
	// minSecret is the minimum number of bytes of a secret.
	minSecret = 8
)

// response is an answer whose body is not yet read.
type response struct {
	body *bufio.Reader
	size int64       // of the body in bytes, or -1 if unknown
	sent http.Header // headers of the request, which may contain secrets

	contentType string // the header
}

// safeName returns an undocumented member name, or hiddenName if it must not be shown.
func (r *response) safeName(text string) string {
	plain := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_-$", c) }
	if text == "" || len(text) > maxName*utf8.UTFMax || utf8.RuneCountInString(text) > maxName || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(c rune) bool { return !plain(c) }) || r.mayBeSecret(text) {
		return hiddenName
	}
	return text
}

// mayBeSecret reports whether a name contains a word of a request header or is part of
// one.
func (r *response) mayBeSecret(name string) bool {
	for header, values := range r.sent {
		if header == "Accept" || header == "Content-Type" { // fixed values, no secrets
			continue
		}
		for word := range strings.FieldsSeq(strings.Join(values, " ")) {
			if len(word) >= minSecret && strings.Contains(name, word) || len(name) >= minSecret && strings.Contains(word, name) {
				return true
			}
		}
	}
	return false
}

// checkStart returns an error if the answer begins like what others than the API answer:
// login pages, and proxies that change answers.
func (r *response) checkStart() error {
	_, _ = r.body.Peek(1) // fills the buffer; the decoder meets the error, if any
	start, _ := r.body.Peek(r.body.Buffered())
	hasMark := func(mark string) bool { return bytes.HasPrefix(start, []byte(mark)) }
	text := bytes.TrimLeft(bytes.TrimPrefix(start, []byte(byteOrderMarks[0])), " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("<")):
		return errHTML
	case slices.ContainsFunc(byteOrderMarks, hasMark):
		return errors.New("the answer begins with a byte order mark, which JSON must not have: check the base URL and the proxy")
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return errors.New("the answer is compressed with gzip, which was not requested: check the proxy")
	}
	return nil
}
