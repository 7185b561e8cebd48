document.addEventListener("input", ({ target }) =>
  target.parentElement.style.setProperty("--cut", `${target.value}%`));
