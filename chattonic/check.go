package chattonic

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckCodename returns an error if the codename of a team is invalid. A codename
// becomes a path element of request URLs and the label team of metrics.
func CheckCodename(codename string) error {
	var problem string
	switch {
	case codename == "":
		return errors.New("the codename is empty: use the one in the API's URLs")
	case codename == ".", codename == "..":
		return fmt.Errorf("the codename cannot be %q: use the one in the API's URLs", codename)
	case !utf8.ValidString(codename):
		problem = "is not valid UTF-8"
	case strings.TrimSpace(codename) == "":
		problem = "is blank"
	case strings.TrimSpace(codename) != codename:
		problem = "begins or ends with a blank"
	case strings.ContainsFunc(codename, unicode.IsControl):
		problem = "contains a control character"
	default:
		return nil
	}
	return fmt.Errorf("the codename %q %s: use the one in the API's URLs", codename, problem)
}

// byteOrderMarks are those of UTF-8 and UTF-16. Editors begin files with them.
var byteOrderMarks = []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"}

// CheckToken returns an error if an access token cannot be sent in an HTTP header, or
// holds what is not part of a token: what editors add, quotation marks, or the word
// Bearer. Chat-Tonic would answer that the token is not accepted. The error does not
// quote the token. The empty token is valid, see WithToken.
func CheckToken(token string) error {
	begins := func(prefix string) bool { return strings.HasPrefix(token, prefix) }
	first, _ := utf8.DecodeRuneInString(token)
	last, _ := utf8.DecodeLastRuneInString(token)
	contains := func(in func(rune) bool) bool { return strings.ContainsFunc(token, in) }
	switch {
	case slices.ContainsFunc(byteOrderMarks, begins):
		return errors.New("the access token begins with a byte order mark: save the file as UTF-8 without BOM")
	case isQuote(first), isQuote(last):
		return errors.New("the access token begins or ends with a quotation mark: write the token without quotation marks")
	case beginsWithBearer(token):
		return errors.New("the access token begins with the word Bearer: write only the token, because the word is added to it")
	case contains(unicode.IsControl):
		return errors.New("the access token contains a line break or another control character: keep only the token, on one line")
	case contains(func(r rune) bool { return unicode.Is(unicode.Cf, r) }):
		return errors.New("the access token contains an invisible character, such as a zero-width space: type it, or copy it as plain text")
	case contains(unicode.IsSpace):
		return errors.New("the access token contains a blank: keep only the token")
	}
	return nil
}

func isQuote(r rune) bool {
	return strings.ContainsRune("\"'`", r) || unicode.In(r, unicode.Pi, unicode.Pf)
}

func beginsWithBearer(token string) bool {
	scheme, _, found := strings.Cut(strings.Join(strings.Fields(token), " "), " ")
	return found && strings.EqualFold(scheme, "Bearer")
}
