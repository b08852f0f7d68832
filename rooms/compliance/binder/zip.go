package binder

import "encoding/binary"

// The parts of a ZIP file that a bundle has (PKWARE APPNOTE 6.3.10, 4.3). An
// entry is stored, dated 1980-01-01, and has no flags, extra field or comment:
// for a list of entries there is exactly one file.

const (
	localSize   = 30
	centralSize = 46
	endSize     = 22
	firstDay    = 1<<5 | 1 // 1980-01-01
)

// header is what the file says of one entry.
type header struct {
	name      string
	size, crc uint32
	at        uint32
}

func (h header) local() []byte {
	b := make([]byte, localSize, localSize+len(h.name))
	le := binary.LittleEndian
	le.PutUint32(b[0:], 0x04034b50)
	le.PutUint16(b[4:], 10) // version needed
	le.PutUint16(b[12:], firstDay)
	le.PutUint32(b[14:], h.crc)
	le.PutUint32(b[18:], h.size)
	le.PutUint32(b[22:], h.size)
	le.PutUint16(b[26:], uint16(len(h.name)))
	return append(b, h.name...)
}

func (h header) central() []byte {
	b := make([]byte, centralSize, centralSize+len(h.name))
	le := binary.LittleEndian
	le.PutUint32(b[0:], 0x02014b50)
	le.PutUint16(b[4:], 10)
	le.PutUint16(b[6:], 10)
	le.PutUint16(b[14:], firstDay)
	le.PutUint32(b[16:], h.crc)
	le.PutUint32(b[20:], h.size)
	le.PutUint32(b[24:], h.size)
	le.PutUint16(b[28:], uint16(len(h.name)))
	le.PutUint32(b[42:], h.at)
	return append(b, h.name...)
}

func end(entries, directory, at int) []byte {
	b := make([]byte, endSize)
	le := binary.LittleEndian
	le.PutUint32(b[0:], 0x06054b50)
	le.PutUint16(b[8:], uint16(entries))
	le.PutUint16(b[10:], uint16(entries))
	le.PutUint32(b[12:], uint32(directory))
	le.PutUint32(b[16:], uint32(at))
	return b
}
