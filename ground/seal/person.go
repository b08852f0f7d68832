package seal

import "fmt"

// A person's keys: doors open the seed, the seed gives the user pair and the
// signer, and team keys are sealed to the user pair.

// Seed is a person's one secret, sealed to the public key of each of that person's doors.
type Seed struct{ Key }

// NewSeed makes a random seed.
func NewSeed() Seed { return Seed{NewKey()} }

// User is what a seed gives: the pair that team keys are sealed to, and the
// signer of roster entries.
type User struct {
	*Pair
	*Signer
}

// User derives the person's pair and signer.
func (s Seed) User() (u User, err error) {
	if u.Pair, err = PairFrom(s.Derive("user pair v1")); err != nil {
		return u, err
	}
	u.Signer, err = SignerFrom(s.Derive("user sign v1"))
	return u, err
}

// Pin returns the key under which the person's pin {root, highest entry seen} is sealed.
func (s Seed) Pin() Key { return s.Derive("pin v1") }

// Keys returns the two public halves, as they stand in the roster.
func (u User) Keys() Keys { return Keys{Pair: u.Pair.Public(), Sign: u.Signer.Public()} }

// PRFLabels are the two inputs that a passkey's PRF extension is asked for
// (WebAuthn Level 3, 10.1.4). `first` opens the seed; `second` never leaves the browser.
var PRFLabels = struct{ First, Second string }{"quietroom prf first v1", "quietroom prf second v1"}

// DoorFromPRF derives the pair of a passkey's door from the output `first`. The
// output is input to HKDF only, and bound to practice, person and door. It comes
// from a browser, so an output of other than 32 bytes is an error.
func DoorFromPRF(first []byte, practice, person, door string) (*Pair, error) {
	if len(first) != 32 {
		return nil, fmt.Errorf("passkey door %s: a PRF output has 32 bytes, not %d", door, len(first))
	}
	return PairFrom(DeriveKey(first, "passkey door v1", practice, person, door))
}

// DoorFromCode derives the pair of a personal code's door from its kek part.
func DoorFromCode(kek Key, practice, person, door string) (*Pair, error) {
	return PairFrom(kek.Derive("code door v1", practice, person, door))
}

// RecoveryFromCode derives the practice's recovery pair from the kit's kek part.
func RecoveryFromCode(kek Key, practice string) (*Pair, error) {
	return PairFrom(kek.Derive("recovery v1", practice))
}

// RecoverySigner derives what the kit signs with from its kek part.
func RecoverySigner(kek Key, practice string) (*Signer, error) {
	return SignerFrom(kek.Derive("recovery sign v1", practice))
}

// TeamInbox derives the pair through which those who are no members seal to a
// team, from the team's key. Its public half stands in the roster.
func TeamInbox(team Key) (*Pair, error) { return PairFrom(team.Derive("team inbox v1")) }
