package main

import (
	"crypto/rand"
	"encoding/binary"
)

// dice throws the same numbers for the same seed (SplitMix64), so that a drill's
// failure repeats. It is never near a key.
type dice uint64

// newSeed throws a seed.
func newSeed() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) >> 16 // short enough for any reader of JSON
}

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	x := uint64(*d)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below throws 0 to n-1.
func (d *dice) below(n int64) int64 { return int64(d.next() % uint64(n)) }
