//go:build !linux

package chrome

// memoryOf is not known here: the browser's own limits hold alone.
func memoryOf(int, uint64, bool) uint64 { return 0 }
