# UNTESTED as a build: no nixpkgs could be had where this was written; its syntax is
# looked at with nix-instantiate --parse where that is installed.
{ lib, rustPlatform, installShellFiles }:

rustPlatform.buildRustPackage {
  pname = "psilogd";
  version = "0.1.0";
  src = ../..;
  cargoLock.lockFile = ../../Cargo.lock;

  nativeBuildInputs = [ installShellFiles ];
  # the tests want a real kernel's pressure files
  doCheck = false;

  postInstall = ''
    installManPage man/psilogd.8 man/psilogd.conf.5 man/psistat.1
    for tool in psilogd psistat; do
      installShellCompletion --bash --name $tool packaging/completion/$tool.bash
      installShellCompletion --zsh packaging/completion/_$tool
      installShellCompletion --fish packaging/completion/$tool.fish
    done
    install -Dm644 packaging/systemd/psilogd.service -t $out/lib/systemd/system
    install -Dm644 packaging/systemd/psilogd.catalog -t $out/lib/systemd/catalog
    substituteInPlace $out/lib/systemd/system/psilogd.service --replace /usr/sbin $out/bin
  '';

  meta = with lib; {
    description = "Logs episodes of CPU, memory and I/O pressure (PSI) to syslog";
    license = licenses.mit;
    platforms = platforms.linux;
    mainProgram = "psilogd";
  };
}
