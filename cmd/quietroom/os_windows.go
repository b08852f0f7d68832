package main

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

func syncDir(string) error { return nil } // Windows makes a rename durable by itself

// freeSpace is how many bytes the disk under a directory has left for this user.
func freeSpace(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return int64(free), err
}

// sameDisk tells whether two folders lie on one volume.
func sameDisk(a, b string) bool {
	return strings.EqualFold(filepath.VolumeName(a), filepath.VolumeName(b))
}

func harden() {}
