package seal

import "crypto/cipher"

// Bunch is many keys that are tried on a box one after the other, each made
// ready once: for drills, which try everything that a thief would find.
type Bunch struct{ aeads []cipher.AEAD }

// NewBunch makes keys ready.
func NewBunch(keys []Key) *Bunch {
	b := &Bunch{make([]cipher.AEAD, len(keys))}
	for i, k := range keys {
		b.aeads[i] = k.aead()
	}
	return b
}

// Len is how many keys there are.
func (b *Bunch) Len() int { return len(b.aeads) }

// Open tries every key, from the first on, and returns the number of the one
// that opens the box in this slot; -1 if none does. It opens into room, which
// the caller uses again.
func (b *Bunch) Open(room, box []byte, s Slot) (which int, plain []byte) {
	if len(box) == 0 || box[0] != Format {
		return -1, nil
	}
	bound := s.bind()
	for i, a := range b.aeads {
		if plain, err := a.Open(room[:0], nil, box[1:], bound); err == nil {
			return i, plain
		}
	}
	return -1, nil
}
