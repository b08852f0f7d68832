package identity

import (
	"net/http"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/web"
)

// actSetKit is what an owner taps for to make the recovery kit.
const actSetKit = "set-kit"

// setKit takes the kit's kek part, which the browser made, printed and had read
// back, and names the public half of the pair that belongs to it.
//
// Browsers have no ML-KEM yet, so the server derives the pair, in memory, and
// forgets the part and the private half before it answers. Neither is ever
// written down here. While that request lasts, an attacker inside the running
// server could see it: docs/security.md says so.
func (i *Identity) setKit(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSend)
	if err != nil {
		return err
	}
	ctx, done, err := i.Tap(r, actSetKit, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	part, err := c.open(in.Box, 32)
	if err != nil {
		return err
	}
	defer clear(part)
	pair, err := seal.RecoveryFromCode(seal.Key(part), i.Anchor.Practice())
	if err != nil {
		return err
	}
	u, _ := UnlockedFrom(ctx)
	if err := i.SetRecovery(ctx, u, pair.Public()); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// fingerprint is the practice's first entry in six words: printed on the kit, it
// tells years later whether a house is still the same one.
func (i *Identity) fingerprint() []string {
	root := i.Anchor.Root()
	if len(root) != len(ledger.Hash{}) {
		return nil
	}
	six := ledger.Words(ledger.Hash(root))
	return six[:]
}
