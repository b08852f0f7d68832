package chrome

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// memoryOf sums what a process and all its descendants hold, in bytes. Memory
// that several share counts once, in parts (PSS), where the kernel says so. That
// costs the kernel much, so the cheaper sum, in which it counts for each, is taken
// first: only where that is more than most, or exactly is asked for, PSS is. 0: it
// is not more than most.
func memoryOf(root int, most uint64, exactly bool) uint64 {
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
	var family []int
	for pid := range parent {
		for p, deep := pid, 0; p > 1 && deep < 32; p, deep = parent[p], deep+1 {
			if p == root {
				family = append(family, pid)
				break
			}
		}
	}
	var sum uint64
	for _, pid := range family {
		sum += resident(pid)
	}
	if sum <= most && !exactly {
		return 0
	}
	sum = 0
	for _, pid := range family {
		sum += held(pid)
	}
	return sum
}

// resident is what a process has in memory, shared or not.
func resident(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	if f := strings.Fields(string(b)); len(f) > 1 {
		pages, _ := strconv.ParseUint(f[1], 10, 64)
		return pages * uint64(os.Getpagesize())
	}
	return 0
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
