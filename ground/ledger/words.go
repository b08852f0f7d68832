package ledger

import (
	_ "embed"
	"math/bits"
	"strings"
)

// The list is our own: 1,024 short words for things that upset nobody, without
// pairs that sound alike. Its order is part of the format.
//
//go:embed words.txt
var wordText string

const wordBits = 10

// Words returns 60 bits of a root as six words that two people can compare on
// the telephone or on paper. To find another tree with the same six words costs
// about 2^60 trees.
func Words(root Hash) (six [6]string) {
	list := strings.Fields(wordText)
	for i := range six {
		six[i] = list[bitsAt(root[:], i*wordBits)]
	}
	return six
}

// bitsAt reads wordBits bits from an offset, the highest bit first.
func bitsAt(b []byte, offset int) (v uint16) {
	three := uint32(b[offset/8])<<16 | uint32(b[offset/8+1])<<8 | uint32(b[offset/8+2])
	return uint16(bits.RotateLeft32(three<<8, offset%8+wordBits) & (1<<wordBits - 1))
}
