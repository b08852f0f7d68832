package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// Another program, written from docs/formats.md alone, opens the golden files: a
// practice must be able to restore when this package is gone. It calls nothing
// of the package, and nothing of crypto/hpke, whose draft may move on.

func anotherHMAC(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// anotherExpand is HKDF's second half for at most 32 bytes.
func anotherExpand(prk []byte, n int, info ...[]byte) []byte {
	return anotherHMAC(prk, append(info, []byte{1})...)[:n]
}

func anotherText(t string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(t))), t...)
}

func anotherDerive(secret []byte, label string, parts ...string) []byte {
	info := [][]byte{[]byte("quietroom " + label)}
	for _, p := range parts {
		info = append(info, anotherText(p))
	}
	return anotherExpand(anotherHMAC(make([]byte, 32), secret), 32, info...)
}

func anotherSlot(s slotVector) []byte {
	b := []byte{1}
	for _, t := range []string{s.Kind, s.Practice, s.Holder, s.Subject, s.Part, s.Record} {
		b = append(b, anotherText(t)...)
	}
	b = binary.BigEndian.AppendUint64(b, s.Version)
	b = binary.BigEndian.AppendUint64(b, s.Chunk)
	if s.Last {
		return append(b, 1)
	}
	return append(b, 0)
}

func anotherGCM(t *testing.T, key, nonce, box, associated []byte) []byte {
	t.Helper()
	gcm := must(cipher.NewGCM(must(aes.NewCipher(key))))
	plain, err := gcm.Open(nil, nonce, box, associated)
	if err != nil {
		t.Fatal("another program cannot open it")
	}
	return plain
}

func anotherBox(t *testing.T, key, box []byte, s slotVector) []byte {
	t.Helper()
	if box[0] != 1 {
		t.Fatal("not version 1")
	}
	return anotherGCM(t, key, box[1:13], box[13:], anotherSlot(s))
}

// anotherPair derives both private halves of a key's pair.
func anotherPair(t *testing.T, key []byte) (*mlkem.DecapsulationKey768, *ecdh.PrivateKey) {
	d := make([]byte, 32)
	h := sha3.NewSHAKE256()
	for _, p := range [][]byte{key, []byte("HPKE-v1KEM\x00\x50\x00\x0dDeriveKeyPair\x00\x20")} {
		h.Write(p)
	}
	h.Read(d)
	h = sha3.NewSHAKE256()
	h.Write(d)
	seed, scalar := make([]byte, 64), make([]byte, 32)
	h.Read(seed)
	for range 10 {
		h.Read(scalar)
		if p, err := ecdh.P256().NewPrivateKey(scalar); err == nil {
			return must(mlkem.NewDecapsulationKey768(seed)), p
		}
	}
	t.Fatal("no candidate in range")
	return nil, nil
}

func anotherHPKE(t *testing.T, key, box, info []byte) []byte {
	t.Helper()
	post, classic := anotherPair(t, key)
	enc, box := box[1:1+1153], box[1+1153:]
	point := enc[1088:]
	secrets := [][]byte{must(post.Decapsulate(enc[:1088])), must(classic.ECDH(must(ecdh.P256().NewPublicKey(point)))), point, classic.PublicKey().Bytes(), []byte("MLKEM768-P256")}
	shared := sha3.Sum256(bytes.Join(secrets, nil))
	suite := []byte("HPKE\x00\x50\x00\x01\x00\x02")
	extract := func(salt []byte, label string, ikm []byte) []byte {
		return anotherHMAC(salt, []byte("HPKE-v1"), suite, []byte(label), ikm)
	}
	context := bytes.Join([][]byte{{0}, extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info)}, nil)
	secret := extract(shared[:], "secret", nil)
	expand := func(label string, n int) []byte {
		return anotherExpand(secret, n, []byte{0, byte(n)}, []byte("HPKE-v1"), suite, []byte(label), context)
	}
	return anotherGCM(t, expand("key", 32), expand("base_nonce", 12), box, nil)
}

func TestAnotherProgramOpensAHouse(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("it opens with nonces of its own choice, and is outside the claim")
	}
	for _, v := range golden[[]struct {
		Secret, Key Hex
		Label       string
		Parts       []string
	}](t, "derive", nil) {
		wantHex(t, "another program's derived key", anotherDerive(v.Secret, v.Label, v.Parts...), v.Key)
	}
	for _, v := range golden[[]struct {
		Key, Box, Plain Hex
		Slot            slotVector
	}](t, "boxes", nil) {
		wantHex(t, "what another program opens", anotherBox(t, v.Key, v.Box, v.Slot), v.Plain)
	}
	for _, v := range golden[[]struct {
		Secret, Box, Plain Hex
		Slot               slotVector
	}](t, "pairs", nil) {
		wantHex(t, "what another program opens", anotherHPKE(t, v.Secret, v.Box, anotherSlot(v.Slot)), v.Plain)
	}
	for _, v := range golden[[]struct {
		Key, Sealed, Plain Hex
		Slot               slotVector
	}](t, "streams", nil) {
		header := v.Sealed[:33]
		v.Slot.Last = true
		wantHex(t, "the stream another program opens", anotherBox(t, anotherDerive(v.Key, "stream v1", string(header)), v.Sealed[33:], v.Slot), v.Plain)
	}
	codes := golden[[]struct{ Secret, Auth, KEK, Notes Hex }](t, "codes", nil)
	for _, v := range codes {
		wantHex(t, "another program's kek", anotherDerive(v.Secret, "code kek v1"), v.KEK)
		wantHex(t, "another program's auth", anotherDerive(v.Secret, "code auth v1"), v.Auth)
		wantHex(t, "another program's notes", anotherDerive(v.Secret, "code notes v1"), v.Notes)
	}
	kit := golden[struct {
		Practice string
		Shares   [3]string
		Boxes    [3]Hex
		KEK      Hex
	}](t, "kit", nil)
	for i := range 3 {
		a, b := must(ParseCode(Share, kit.Shares[i])).secret, must(ParseCode(Share, kit.Shares[(i+1)%3])).secret
		both := append(anotherDerive(a[:], "code kek v1"), anotherDerive(b[:], "code kek v1")...)
		wantHex(t, "the kit another program opens", anotherBox(t, anotherDerive(both, "kit pair v1"), kit.Boxes[i], slotVector{Kind: "kit-share", Practice: kit.Practice, Chunk: uint64(i)}), kit.KEK)
	}
	c := golden[struct {
		ServerPrivate Hex `json:"server_private"`
		ServerPublic  Hex `json:"server_public"`
		Name          string
		Box, Plain    Hex
	}](t, "ceremony", nil)
	shared := must(must(ecdh.P256().NewPrivateKey(c.ServerPrivate)).ECDH(must(ecdh.P256().NewPublicKey(c.Box[:65]))))
	key := anotherDerive(shared, "ceremony v1", string(c.ServerPublic), string(c.Box[:65]), c.Name)
	wantHex(t, "the message another program opens", anotherGCM(t, key, c.Box[65:77], c.Box[77:], []byte(c.Name)), c.Plain)
}
