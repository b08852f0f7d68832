package authenticator

import (
	"context"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"quietroom/ground/seal"
)

// Kit is a recovery kit's secret, as kit.js has it: of one paper, or of two shares
// put together. Its private halves stay here.
type Kit struct {
	Secret   seal.Key
	Practice string
}

func (k Kit) parts() (*seal.Pair, *seal.Signer, error) {
	pair, err := seal.RecoveryFromCode(k.Secret, k.Practice)
	if err != nil {
		return nil, nil, err
	}
	signer, err := seal.RecoverySigner(k.Secret, k.Practice)
	return pair, signer, err
}

func (k Kit) proof(pair *seal.Pair, box []byte) ([]byte, error) {
	return pair.Open(box, seal.Slot{Kind: "kit-proof", Practice: k.Practice, Holder: seal.Recovery})
}

// SetKit names a kit in the name of the owner who is signed in. Trusted are three
// names, and boxes the secret under their shares; nil for one paper.
func (b *Browser) SetKit(ctx context.Context, k Kit, ticket string, trusted []string, boxes [][]byte) error {
	pair, signer, err := k.parts()
	if err != nil {
		return err
	}
	var q struct {
		Box []byte `json:"box"`
	}
	if err := b.Ask(ctx, "/kit/try", map[string]any{"public": pair.Public()}, &q); err != nil {
		return err
	}
	nonce, err := k.proof(pair, q.Box)
	if err != nil {
		return err
	}
	return b.Ask(ctx, "/kit", map[string]any{"public": pair.Public(), "sign": signer.Public(), "nonce": nonce, "trusted": trusted, "boxes": boxes}, nil, "X-Tap", ticket)
}

// Shares asks for what two shares of the kit open.
func (b *Browser) Shares(ctx context.Context) (practice string, boxes [][]byte, err error) {
	var q struct {
		Practice string   `json:"practice"`
		Shares   [][]byte `json:"shares"`
	}
	err = b.Ask(ctx, "/unlock/kit/begin", struct{}{}, &q)
	return q.Practice, q.Shares, err
}

// ShowKit proves that one holds the kit. It returns a pass, or from when on it opens.
func (b *Browser) ShowKit(ctx context.Context, k Kit) (pass, from string, err error) {
	var q struct {
		Box []byte `json:"box"`
	}
	if err := b.Ask(ctx, "/unlock/kit/begin", struct{}{}, &q); err != nil {
		return "", "", err
	}
	pair, _, err := k.parts()
	if err != nil {
		return "", "", err
	}
	nonce, err := k.proof(pair, q.Box)
	if err != nil {
		nonce = make([]byte, 32) // whoever has another kit can only guess
	}
	var out struct {
		Pass string `json:"pass"`
		From string `json:"from"`
	}
	err = b.Ask(ctx, "/unlock/kit/prove", map[string]any{"nonce": nonce}, &out)
	return out.Pass, out.From, err
}

// ComeBack makes an owner's new passkey with a pass, and opens the room.
func (b *Browser) ComeBack(ctx context.Context, k Kit, pass, person string) error {
	pair, signer, err := k.parts()
	if err != nil {
		return err
	}
	var q Question
	if err := b.Ask(ctx, "/unlock/kit/passkey", map[string]string{"pass": pass, "person": person}, &q); err != nil {
		return err
	}
	a, err := b.Device.Create(b.Origin, q.PublicKey)
	if err != nil {
		return err
	}
	r, err := Seal(q, a)
	if err != nil {
		return err
	}
	r.Pass = pass
	var made struct {
		Body  []byte `json:"body"`
		Boxes []struct {
			Team  string `json:"team"`
			Epoch uint64 `json:"epoch"`
			Box   []byte `json:"box"`
		} `json:"boxes"`
		Question
	}
	if err := b.Ask(ctx, "/unlock/kit/keys", r, &made); err != nil {
		return err
	}
	var e seal.Entry
	if err := json.Unmarshal(made.Body, &e); err != nil || e.Act != seal.Rekey || e.Person != person || e.By != seal.Recovery {
		return fmt.Errorf("the house asks the kit to sign something else (%v)", err)
	}
	var keys []byte
	for _, box := range made.Boxes {
		key, err := pair.OpenKey(box.Box, seal.Slot{Kind: "team-key", Practice: k.Practice, Holder: seal.Recovery, Subject: box.Team, Version: box.Epoch})
		if err != nil {
			return fmt.Errorf("the kit does not open key %d of team %s: %w", box.Epoch, box.Team, err)
		}
		keys = append(keys, key[:]...)
	}
	r = Reply{Ceremony: made.Ceremony, Pass: pass}
	if r.Box, err = seal.SealToCeremony(made.Seal, made.Ceremony, keys); err != nil {
		return err
	}
	if r.Signature, err = rawSignature(signer, made.Body); err != nil {
		return err
	}
	if r.Key, err = b.renewalKey(); err != nil {
		return err
	}
	if err := b.Ask(ctx, "/unlock/kit/finish", r, nil); err != nil {
		return err
	}
	return b.refresh(ctx)
}

// rawSignature signs an entry as WebCrypto does: r and s, 32 bytes each.
func rawSignature(signer *seal.Signer, body []byte) ([]byte, error) {
	der, err := signer.Sign(seal.KitLabel, body)
	if err != nil {
		return nil, err
	}
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &n); err != nil {
		return nil, err
	}
	return slices.Concat(n.R.FillBytes(make([]byte, 32)), n.S.FillBytes(make([]byte, 32))), nil
}
