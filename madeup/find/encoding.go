package find

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/url"
	"unicode/utf16"
	"unicode/utf8"
)

// Encoding is a spelling of a secret.
type Encoding uint8

// The spellings. Base64 has three each, because a secret may begin at any of
// three places in a group; only the letters that neighbors cannot change count.
const (
	Raw Encoding = iota
	UTF16LE
	UTF16BE
	Base64
	base64At1
	base64At2
	Base64URL
	base64URLAt1
	base64URLAt2
	Hex
	HexUpper
	JSON      // as encoding/json escapes
	JSONASCII // letters outside ASCII as \u00e9, as other writers do
	Percent   // RFC 3986
	Form      // as Percent, a space as +
	HTML
	encodings
)

var encodingNames = [encodings]string{
	Raw: "raw", UTF16LE: "utf-16le", UTF16BE: "utf-16be",
	Base64: "base64", base64At1: "base64", base64At2: "base64",
	Base64URL: "base64url", base64URLAt1: "base64url", base64URLAt2: "base64url",
	Hex: "hex", HexUpper: "hex upper", JSON: "json", JSONASCII: "json ascii",
	Percent: "percent", Form: "form", HTML: "html",
}

func (e Encoding) String() string { return encodingNames[e] }

// kind folds the three places of base64 into one.
func (e Encoding) kind() Encoding {
	switch e {
	case base64At1, base64At2:
		return Base64
	case base64URLAt1, base64URLAt2:
		return Base64URL
	}
	return e
}

// like is the spelling that e is often equal to; then e is left out.
func (e Encoding) like() Encoding {
	switch e {
	case Base64URL, base64URLAt1, base64URLAt2:
		return e - Base64URL + Base64
	case HexUpper:
		return Hex
	case JSONASCII:
		return JSON
	case Form:
		return Percent
	case JSON, Percent, HTML:
		return Raw
	}
	return e
}

// appendTo spells the secret: at least eight bytes for a secret of eight.
func (e Encoding) appendTo(b []byte, secret string) []byte {
	switch e {
	case Raw:
		return append(b, secret...)
	case UTF16LE, UTF16BE:
		return appendUTF16(b, secret, e == UTF16BE)
	case Base64, base64At1, base64At2:
		return appendBase64(b, base64.RawStdEncoding, secret, int(e-Base64))
	case Base64URL, base64URLAt1, base64URLAt2:
		return appendBase64(b, base64.RawURLEncoding, secret, int(e-Base64URL))
	case Hex:
		return hex.AppendEncode(b, []byte(secret))
	case HexUpper:
		from := len(b)
		b = hex.AppendEncode(b, []byte(secret))
		for k, c := range b[from:] {
			if c >= 'a' {
				b[from+k] = c - 'a' + 'A'
			}
		}
		return b
	case JSON, JSONASCII:
		return appendJSON(b, secret, e == JSONASCII)
	case Percent:
		return append(b, percent(secret)...)
	case Form:
		return append(b, url.QueryEscape(secret)...)
	default:
		return append(b, html.EscapeString(secret)...)
	}
}

func appendUTF16(b []byte, s string, bigEndian bool) []byte {
	var units [2]uint16
	for _, r := range s {
		for _, u := range utf16.AppendRune(units[:0], r) {
			if bigEndian {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
	}
	return b
}

// appendBase64 encodes s as it stands after `before` other bytes of a group,
// without the letters that hold a bit of a neighbor.
func appendBase64(b []byte, enc *base64.Encoding, s string, before int) []byte {
	var plain [128]byte
	in := append(append(plain[:0], "\x00\x00"[:before]...), s...)
	from := len(b)
	b = enc.AppendEncode(b, in)
	first, after := (8*before+5)/6, 8*len(in)/6
	n := copy(b[from:], b[from+first:from+after])
	return b[:from+n]
}

const lowerHex = "0123456789abcdef"

// appendJSON escapes as encoding/json does.
func appendJSON(b []byte, s string, ascii bool) []byte {
	var units [2]uint16
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < ' ' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' || ascii && r >= utf8.RuneSelf:
			for _, u := range utf16.AppendRune(units[:0], r) {
				b = append(b, '\\', 'u', lowerHex[u>>12], lowerHex[u>>8&15], lowerHex[u>>4&15], lowerHex[u&15])
			}
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// percent escapes all but the unreserved characters of RFC 3986 section 2.3.
func percent(s string) string {
	var b []byte
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return string(b)
}
