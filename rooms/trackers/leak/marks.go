package leak

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Marks makes the values of a made-up patient: nobody's, and nothing that stands
// anywhere by chance. Rand is read for each; crypto/rand.Reader outside tests.
type Marks struct{ Rand io.Reader }

// letters of a mark are seldom beside one another in a language.
const (
	letters = "bcdfghkmnpqrtvwxzj"
	odd     = "qxzj"
)

// Word is one word of nine letters, the first a capital. No letter comes twice, so
// that it is known again where a browser asks for each key's address only once.
func (m Marks) Word() (string, error) {
	b := make([]byte, 9)
	if _, err := io.ReadFull(m.Rand, b); err != nil {
		return "", fmt.Errorf("draw a mark: %w", err)
	}
	left, second := []byte(letters), b[1]
	for i := range b {
		n := int(b[i]) % len(left)
		b[i] = left[n]
		left = slices.Delete(left, n, n+1)
	}
	if !bytes.ContainsAny(b, odd) {
		b[2] = odd[int(second)%len(odd)]
	}
	return strings.ToUpper(string(b[:1])) + string(b[1:]), nil
}

// Number is so many digits, the first of them not 0.
func (m Marks) Number(size int) (string, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(m.Rand, b); err != nil {
		return "", fmt.Errorf("draw a mark: %w", err)
	}
	for i := range b {
		b[i] = '0' + b[i]%10
	}
	if size > 0 && b[0] == '0' {
		b[0] = '7'
	}
	return string(b), nil
}

// Name is two words.
func (m Marks) Name() (string, error) {
	first, err := m.Word()
	if err != nil {
		return "", err
	}
	second, err := m.Word()
	return first + " " + second, err
}

// Mail is an address that nobody can have (RFC 2606 keeps example.com).
func (m Marks) Mail() (string, error) {
	w, err := m.Word()
	return w + "@example.com", err
}

// Phone is a number of the range that is kept for films: 555-0100 to 555-0199.
func (m Marks) Phone() (string, error) {
	n, err := m.Number(4)
	if err != nil {
		return "", err
	}
	area := "2" + n[:2]
	if n[:2] == "11" { // 211 is a service
		area = "212"
	}
	return fmt.Sprintf("(%s) 555-01%s", area, n[2:]), nil
}

// Date is a day of birth, as a browser's field wants it: 1987-04-13.
func (m Marks) Date() (string, error) {
	b := make([]byte, 3)
	if _, err := io.ReadFull(m.Rand, b); err != nil {
		return "", fmt.Errorf("draw a mark: %w", err)
	}
	return fmt.Sprintf("%d-%02d-%02d", 1940+int(b[0])%60, 1+int(b[1])%12, 13+int(b[2])%15), nil
}

// Text is what somebody might write into a large field.
func (m Marks) Text() (string, error) {
	w, err := m.Word()
	return "Please call me about " + w, err
}
