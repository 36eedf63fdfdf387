module identity

go 1.24
