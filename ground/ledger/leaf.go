package ledger

import "golang.org/x/mod/sumdb/tlog"

// Leaf is the hash of a fact's text, as the tree stores it (RFC 6962, 2.1).
func Leaf(body string) Hash { return tlog.RecordHash([]byte(body)) }
