package chrome

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// memoryOf sums what a process and all its descendants hold, in bytes. Memory
// that several share counts once, in parts (PSS), where the kernel says so.
func memoryOf(root int) uint64 {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	parent := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		rest := stat[bytes.LastIndexByte(stat, ')')+1:]
		if f := strings.Fields(string(rest)); len(f) > 1 {
			parent[pid], _ = strconv.Atoi(f[1])
		}
	}
	var sum uint64
	for pid := range parent {
		for p, deep := pid, 0; p > 1 && deep < 32; p, deep = parent[p], deep+1 {
			if p == root {
				sum += held(pid)
				break
			}
		}
	}
	return sum
}

func held(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}
