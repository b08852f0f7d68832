package seal

import (
	"encoding/base64"
	"testing"
)

// The example of RFC 7515, appendix A.3.
func TestES256IsThatOfTheStandard(t *testing.T) {
	raw := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := append(append([]byte{4}, raw("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")...), raw("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")...)
	message := []byte("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ")
	sig := raw("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
	if !SignPublic(key).VerifyES256(message, sig) {
		t.Fatal("the standard's own signature does not hold")
	}
	for name, no := range map[string]bool{
		"another message": SignPublic(key).VerifyES256(append(message, '.'), sig),
		"a shorter one":   SignPublic(key).VerifyES256(message, sig[:63]),
		"no key":          SignPublic(key[:64]).VerifyES256(message, sig),
		"another s":       SignPublic(key).VerifyES256(message, append(sig[:63:63], sig[63]^1)),
	} {
		if no {
			t.Errorf("%s holds", name)
		}
	}
}
