module quietroom

go 1.26.8
