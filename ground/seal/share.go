package seal

import "fmt"

// A kit of three shares, of which any two open. Three wraps instead of
// polynomials: one under each pair of shares, with approved primitives only.

// SplitKit seals a kit secret under each two of three shares.
func SplitKit(kek Key, shares [3]Code, practice string) (boxes [3][]byte) {
	for i := range boxes {
		j := (i + 1) % 3
		boxes[i] = pairKey(shares[i], shares[j]).SealKey(kek, shareSlot(practice, i))
	}
	return boxes
}

// JoinKit opens a kit secret with any two shares, in any order.
func JoinKit(a, b Code, boxes [3][]byte, practice string) (kek Key, err error) {
	if a.Kind != Share || b.Kind != Share {
		return kek, fmt.Errorf("join the kit: two shares are needed")
	}
	for i, box := range boxes {
		for _, key := range []Key{pairKey(a, b), pairKey(b, a)} {
			if kek, err = key.OpenKey(box, shareSlot(practice, i)); err == nil {
				return kek, nil
			}
		}
	}
	return kek, fmt.Errorf("join the kit: these two are not shares of this kit: %w", ErrSealed)
}

func pairKey(a, b Code) Key { return Combine("kit pair v1", a.KEK(), b.KEK()) }

func shareSlot(practice string, i int) Slot {
	return Slot{Kind: "kit-share", Practice: practice, Chunk: uint64(i)}
}
