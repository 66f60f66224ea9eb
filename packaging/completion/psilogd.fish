# fish completion for psilogd. Written by packaging/completion/generate.
complete -c psilogd -f
complete -c psilogd -s C -l cgroup-root -x -a '(__fish_complete_directories)' -d 'root of the cgroup2 hierarchy'
complete -c psilogd -s f -l config -rF -d 'read FILE instead of /etc/psilogd.conf and its drop-ins'
complete -c psilogd -s o -l output -x -a "'auto' 'journal' 'journal:' 'syslog' 'syslog:' 'udp:' 'kmsg' 'stdout' 'stderr'" -d 'write to OUTPUT: auto, journal[:PATH], syslog[:PATH], udp:ADDRESS[:PORT], kmsg, stdout or stderr'
complete -c psilogd -s n -l check -d 'check the configuration, print it and exit'
complete -c psilogd -s t -d 'same as -n'
complete -c psilogd -l drill -d 'send a test begin and end, report the result and exit'
complete -c psilogd -l no-sandbox -d 'do not restrict what psilogd may do later'
complete -c psilogd -s s -l stderr -d 'copy every line to standard error'
complete -c psilogd -s u -l user -x -a "'nobody'" -d 'become USER (NAME or UID:GID) once everything is open'
complete -c psilogd -s v -l verbose -d 'also log every crossing and every reading'
complete -c psilogd -s h -l help -d 'print this help'
complete -c psilogd -s V -l version -d 'print the version'
