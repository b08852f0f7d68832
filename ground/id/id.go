// Package id names people, patients and devices by opaque identifiers, so that
// a log line, a fact or an address can speak of them and say nothing.
//
// An identifier holds 128 random bits or more and never a key: whoever reads
// one has learned nothing and can open nothing.
package id

import (
	"context"
	"crypto/rand"
	"fmt"
)

// Opaque identifiers. Each kind is a type of its own, so that a patient cannot
// be handed over where a person is meant.
type (
	Person  string // somebody who works in the practice
	Patient string // somebody who is cared for
	Device  string // a computer or phone that opens the vault
	Session string // one person's sign-in on one browser
	Team    string // people who share the care of patients
	Record  string // one sealed note, file or resource
)

// New makes an identifier: 26 letters and digits, at least 128 random bits.
func New[T ~string]() T { return T(rand.Text()) }

// Check tells whether s has the form of an identifier. Use it on everything
// that comes from an address or a form, before it reaches SQL, a log or a fact.
func Check(s string) error {
	if len(s) != 26 {
		return fmt.Errorf("identifier has %d characters, want 26", len(s))
	}
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return fmt.Errorf("identifier has a character outside A-Z and 2-7")
		}
	}
	return nil
}

// Actor is who acts, on which device, in which session. It never holds a key:
// keys travel in the request's context, out of reach of rooms.
type Actor struct {
	Person  Person
	Device  Device // empty while no agent has bound the browser to its device
	Session Session
}

type actorKey struct{}

// With returns a context that carries the actor.
func With(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// From returns the actor whom the context carries, or the zero Actor.
func From(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
