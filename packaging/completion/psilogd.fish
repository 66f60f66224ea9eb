# fish completion for psilogd. Written by packaging/completion/generate.
complete -c psilogd -f
complete -c psilogd -s C -l cgroup-root -x -a '(__fish_complete_directories)' -d 'cgroups are below DIR'
complete -c psilogd -s f -l config -rF -d 'read FILE, not /etc/psilogd.conf'
complete -c psilogd -s o -l output -x -a "'syslog' 'syslog:' 'udp:' 'kmsg' 'stdout' 'stderr'" -d 'write to OUTPUT: syslog, syslog:PATH, udp:ADDRESS[:PORT], kmsg, stdout or stderr'
complete -c psilogd -s n -l check -d 'check the configuration, print it and exit'
complete -c psilogd -s t -d 'the same as -n'
complete -c psilogd -l drill -d 'send a test begin and end, report what became of them and exit'
complete -c psilogd -s s -l stderr -d 'copy every line to standard error'
complete -c psilogd -s v -l verbose -d 'log every crossing and every reading as well'
complete -c psilogd -s h -l help -d 'print this help'
complete -c psilogd -s V -l version -d 'print the version'
